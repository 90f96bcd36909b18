"""What a job's trainers have written: the last of it, and what they go on writing."""

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import LogLine

from dashboard.elements import Text, box, panel, shown
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.words import clipped

MOST = 500  # pieces that are shown: the last ones


@ui.page("/jobs/{job_id}/log", response_timeout=PAGE_SECONDS)
async def log_page(request: Request, job_id: str) -> None:
    with frame(f"Log of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/log")
        with panel("What its trainers have written"):
            log = Log(here, job.id)
        settled = False

        async def refresh() -> None:
            nonlocal settled
            if settled:
                return
            now = await here.api.fine_tuning.jobs.retrieve(job.id)  # before its last words
            head.show(now)
            await log.refresh()
            log.nothing.show("They have written nothing." if now.ended else "Nothing yet.")
            settled = now.ended

        await here.live(refresh)


class Log:
    """Pieces are added at its end, which stays in view unless somebody has scrolled up."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id = here, job_id
        self.nothing = Text("p", "Nothing yet.", classes="empty")
        with box("div", "pre tail hidden", tabindex=0, role="log", aria_label="log") as self.around:
            self.place = box("div")
        self._pieces: list[Text] = []
        self._last: LogLine | None = None

    async def refresh(self) -> None:
        logs = self.here.api.fine_tuning.jobs.logs  # anew each time: the session may be over
        if self._last is None:
            for piece in reversed((await logs.list(self.job_id, limit=MOST, order="desc")).data):
                self._add(piece)
            return
        async for piece in logs.list(self.job_id, limit=MOST, after=self._last.id):
            self._add(piece)

    def _add(self, piece: LogLine) -> None:
        shown(self.nothing, False)
        shown(self.around, True)
        with self.place:
            if self._last is None or self._last.attempt != piece.attempt:
                self._pieces.append(Text("div", f"attempt {piece.attempt}", classes="quiet attempt"))
            self._pieces.append(Text("span", piece.text))
        self._last = piece
        while len(self._pieces) > MOST:
            self._pieces.pop(0).delete()
