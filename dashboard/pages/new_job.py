"""A new job: a form made from the spec's schema and the same spec as JSON, checked while it is written."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from starlette.requests import Request
from tunesmith import APIStatusError
from tunesmith.specs.method import USABLE_KINDS
from tunesmith.types import File, Model

from dashboard import draft, spec_schema
from dashboard.cells import job_cell, job_path
from dashboard.draft import Draft
from dashboard.elements import Text, box, button, panel, shown
from dashboard.estimate import show_estimate
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.lists import MOST, datalist, file_words, fits, model_words, propose
from dashboard.spec_form import TYPING, VALUE, Entry, Section, reveal, set_texts

CHOSEN = ("model", "training_file", "validation_file")  # from lists


@ui.page("/jobs/new", response_timeout=PAGE_SECONDS)
async def new_job(request: Request) -> None:
    clone = request.query_params.get("clone")
    with frame("New job", request) as here:
        ui.add_head_html('<script src="/static/form.js"></script>')
        Text("h1", "New job")
        body: dict[str, Any] = {name: request.query_params[name] for name in CHOSEN if request.query_params.get(name)}
        if here.operator:
            Text("p", "An operator's key belongs to no project: jobs are created with a project's key.", classes="note")
        if clone and (job := await here.fetched(here.api.fine_tuning.jobs.retrieve(clone))):
            body = draft.of_job(job)
            with box("p", "quiet"):
                Text("span", "As ")
                job_cell(job)
                Text("span", " was trained: what was auto there is what it came to.")
        lists = here.api.models.list(limit=MOST), here.api.files.list(purpose="fine-tune", limit=MOST)
        models, files = await here.fetched(asyncio.gather(*lists)) or (None, None)
        NewJob(here, Draft(body), models.data if models else [], files.data if files else [])


class NewJob:
    """The page: `draft` is the one truth, the form and the JSON show it."""

    def __init__(self, here: Frame, spec: Draft, models: list[Model], files: list[File]) -> None:
        self.here, self.draft, self.busy = here, spec, False
        self.models = {model.id: model for model in models}
        self.files = {file.id: file for file in files}
        self.form_id = uuid.uuid4()
        self.refused = dict[str, str]()  # what the API has said, until something is changed
        self.asked = False  # whether somebody has wanted to submit it
        self.no_json = ""
        self.as_json = spec.text()  # of the draft, as the browser has it
        self.seen: object = None
        with box("div", "split"):
            with box("form", "form", onsubmit="return false", aria_label="job"):
                self._build_form()
            with box("div", "beside"):
                self._build_beside()
        self.look()

    def _build_form(self) -> None:
        of_models, self.of_files = datalist(), datalist()
        propose(of_models, ((model.id, model_words(model)) for model in self.models.values()))
        nodes = {node.name: node for node in spec_schema.of_job()}
        with panel("What to train"):
            with box("div", "entry"):
                with box("div", "asked"):
                    label = Text("label", "method", classes="mono")
                    with box("select") as self.method:
                        for name in spec_schema.METHODS:
                            chosen: dict[str, Any] = {"selected": True} if name == self.draft.method else {}
                            Text("option", name.replace("_", " "), value=name, **chosen)
                    label.props["for"] = self.method.html_id
                self.about_method = Text("p", classes="quiet about")
            self.method.on("change", lambda event: self._choose(str(event.args)), js_handler=VALUE)
            lists = {"model": of_models, "training_file": self.of_files, "validation_file": self.of_files}
            self.chosen = {name: Entry(nodes[name], self.draft, self.edited, choices=lists[name]) for name in CHOSEN}
        with panel("Options of the method"):
            self.options_place = box()
        with panel("Name, notes and limits"):
            self.further = Section(
                [node for name, node in nodes.items() if name not in CHOSEN], self.draft, self.edited
            )
        self._build_options()

    def _build_options(self) -> None:
        self.built = self.draft.method
        self.options_place.clear()
        about, nodes = spec_schema.of_method(self.built)
        self.about_method.show(" ".join(about.split()))
        with self.options_place:
            self.options = Section(nodes, self.draft, self.edited)
        fitting = [file for file in self.files.values() if fits(file, self.built)]
        propose(self.of_files, ((file.id, file_words(file)) for file in fitting))

    def _build_beside(self) -> None:
        with panel("The spec"):
            with box("label"):
                Text("span", "As it is sent; it can be edited here too", classes="quiet")
                self.json = box("textarea", defaultValue=self.draft.text(), rows=16, spellcheck="false")
            self.json.on("input", self._read, js_handler=VALUE, throttle=TYPING, leading_events=False)
            self.json.on("change", self._read, js_handler=VALUE)
            with box("div", "top"):
                self.create = button("Create job", self._create, classes="primary")
                self.ask = button("Estimate", self._estimate)
            self.state = Text("p", role="status")
            self.list = box("ul", "mistakes")
        with panel("What it would take") as self.estimated_panel:
            self.estimated = box()
        shown(self.estimated_panel, False)

    def _choose(self, type_: str) -> None:
        self.draft.choose(type_)
        self._build_options()
        self.edited()

    def edited(self) -> None:
        """The form has changed the draft; or tells the same again, and what is being typed as JSON must not be lost."""
        if self.draft.text() != self.as_json:
            self.no_json = ""
            self.as_json = self.draft.text()
            set_texts({self.json.html_id: self.as_json})
        self._changed()

    def _read(self, event: object) -> None:
        """The JSON was edited: the form follows where it is one."""
        text = str(getattr(event, "args", ""))
        if not self.no_json and text == self.draft.text():
            return
        try:
            self.draft.read(text)
        except ValueError as error:
            self.no_json = str(error)
        else:
            self.no_json = ""
            self.as_json = self.draft.text()
            if self.draft.method != self.built:
                self._build_options()
            texts = {e.element.html_id: draft.shown(e.node, self.draft.get(e.node.path)) for e in self.chosen.values()}
            set_texts(texts | self.options.texts() | self.further.texts() | {self.method.html_id: self.built})
        self._changed()

    def _changed(self) -> None:
        """What the API has said was about another spec; events that come late, of the same one, change nothing."""
        now = (self.draft.text(), dict(self.draft.broken), self.no_json)
        if now == self.seen:
            return
        self.seen, self.refused = now, {}
        shown(self.estimated_panel, False)
        self.look()

    def look(self) -> None:
        """Say at each key what is wrong with it, and all of it beside the form."""
        found = self.draft.mistakes()
        self.wrong = {key: mistake.sentence for key, mistake in found.items()} | self.refused
        early = set() if self.asked else {key for key, mistake in found.items() if mistake.missing}
        told = {key: words for key, words in self.wrong.items() if key not in early}
        for key, entry in self.chosen.items():
            entry.mark(told.get(key, ""))
        self.options.mark(told)
        self.further.mark(told)
        self._tell_choices()
        self.state.show(self.no_json or ("To mend:" if told else "Not complete yet." if self.wrong else "Ready."))
        self.state.classes(add="fault") if self.no_json else self.state.classes(remove="fault")
        self.list.clear()
        with self.list:
            for sentence in [] if self.no_json else told.values():
                Text("li", sentence, classes="fault")

    def _tell_choices(self) -> None:
        model = self.models.get(str(self.draft.body.get("model")))
        self.chosen["model"].tell(model_words(model) if model else "")
        for name in CHOSEN[1:]:
            file = self.files.get(str(self.draft.body.get(name)))
            if file is None or fits(file, self.built):
                self.chosen[name].tell(file_words(file) if file else "")
            else:
                wanted = ", ".join(USABLE_KINDS[self.built])
                self.chosen[name].tell(f"{file_words(file)}: {self.built} learns from {wanted}", warn=True)

    def _sound(self) -> bool:
        """Whether it can be sent; else whoever looks is taken to what has to be mended."""
        self.asked, self.refused = True, {}
        self.look()
        if self.wrong and not self.no_json:
            self._reveal(next(iter(self.wrong)))
        return not self.wrong and not self.no_json

    def _reveal(self, key: str) -> None:
        """The input of the key, or of what it is in."""
        while key:
            for entries in (self.chosen, self.options.entries, self.further.entries):
                if key in entries:
                    reveal(entries[key].element)
                    return
            key = key.rpartition(".")[0]

    async def _estimate(self) -> None:
        async def ask() -> None:
            self.state.show("Asking …")
            found = await self.here.session.patient.fine_tuning.jobs.estimate(self.draft.body)
            shown(self.estimated_panel, True)
            show_estimate(self.estimated, found)
            self.look()

        await self._send(ask)

    async def _create(self) -> None:
        async def create() -> None:
            # The same spec twice from one form is a double click; another one is another job.
            key = uuid.uuid5(self.form_id, json.dumps(self.draft.body, sort_keys=True))
            job = await self.here.api.fine_tuning.jobs.create(self.draft.body, idempotency_key=str(key))
            ui.navigate.to(job_path(job.id))

        await self._send(create)

    async def _send(self, act: Callable[[], Awaitable[None]]) -> None:
        if self.busy or not self._sound():
            return

        async def told() -> None:
            try:
                await act()
            except APIStatusError as error:
                if error.param:
                    self.refused = {error.param: error.message}
                    self._reveal(error.param)
                raise

        self._set_busy(True)
        try:
            await self.here.trying(told)
        finally:
            self._set_busy(False)
            self.look()

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        for asked in (self.create, self.ask):
            asked.props["disabled"] = busy
