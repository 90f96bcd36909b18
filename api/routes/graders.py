from typing import Annotated

from fastapi import APIRouter, Depends

from api import grading
from api.body import described_by, json_body
from api.deps import SettingsDep
from api.schemas.grader import CheckedGrader, GraderCheck, GraderResult, GraderRun

router = APIRouter(prefix="/fine_tuning/alpha/graders", tags=["fine-tuning"])


@router.post("/validate", openapi_extra=described_by(GraderCheck))
def validate_grader(
    body: Annotated[GraderCheck, Depends(json_body(GraderCheck))], settings: SettingsDep
) -> CheckedGrader:
    """Whether a job could use this grader: its keys, its templates and its formula, its source compiled, and what it
    needs of this deployment. Answers it with its defaults."""
    grading.check(body.grader, settings)
    return CheckedGrader.of(body.grader)


@router.post("/run", openapi_extra=described_by(GraderRun))
def run_grader(body: Annotated[GraderRun, Depends(json_body(GraderRun))], settings: SettingsDep) -> GraderResult:
    """What one answer is worth by this grader, and what went wrong on the way to it. Keeps nothing."""
    return GraderResult.of(body.grader, grading.run(body.grader, body.sample, settings))
