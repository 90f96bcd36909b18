"""Files of every format from upload to a trained model, through the newest `openai` client."""

import json

from openai import OpenAI

from tests.core.rows.files import as_csv, gzipped, parquet
from tests.e2e.rows import upper_case
from tests.e2e.test_openai import finish, upload
from tests.stack import Stack, eventually

QUICK = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}, "samples": {"rows": 0}}}


def test_jobs_on_parquet_gzip_and_csv(stack: Stack, openai: OpenAI) -> None:
    rows = [json.loads(line) for line in upper_case(20, seed=0).splitlines()]
    files = {
        name: upload(openai, name, content)
        for name, content in (
            ("rows.parquet", parquet(rows)),
            ("rows.jsonl.gz", gzipped(rows[:5])),
            ("rows.csv", as_csv(rows)),
            ("notes.pdf", b"%PDF-1.7 no rows"),
        )
    }

    def start(training: str, validation: str | None = None) -> str:
        more = {"validation_file": files[validation]} if validation else {}
        job = openai.fine_tuning.jobs.create(
            model="tiny-random-llama", training_file=files[training], extra_body={"method": QUICK}, **more
        )
        return job.id

    jobs = [start("rows.parquet", "rows.jsonl.gz"), start("rows.csv")]
    refused = finish(openai, start("notes.pdf"))
    assert refused.status == "failed"
    assert refused.error
    assert refused.error.param == "training_file"
    assert "the file is a PDF document" in refused.error.message
    assert [finish(openai, job).status for job in jobs] == ["succeeded", "succeeded"]
    for name, count in (("rows.parquet", 20), ("rows.jsonl.gz", 5), ("rows.csv", 20)):
        file = eventually(lambda id=files[name]: openai.files.retrieve(id), seconds=10, what=name)
        assert (file.status, file.filename, file.to_dict()["rows"]) == ("processed", name, count)
