"""`data.pick()`: choose type, columns, template and length by hand; every choice is a line of Python."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from html import escape
from typing import Any

from workbench.api.data import Data
from workbench.api.data import data as open_data
from workbench.api.encoded import Encoded
from workbench.api.picker_background import Background, match_of
from workbench.api.picker_cells import cell
from workbench.api.picker_html import static_html
from workbench.api.picker_options import MASK_OPTIONS, ROW_OPTIONS, options_view
from workbench.api.picker_rendered import rendered
from workbench.api.picker_sample import READ_ROWS, Reading, Sample, lengths
from workbench.api.picker_state import (
    absent_roles,
    columns_view,
    cut_view,
    fit_view,
    lengths_view,
    misfits_view,
    notices_view,
    preview_rows,
    question_view,
    said_columns,
    source_view,
    speakers_view,
    template_groups,
    types_view,
    values_view,
)
from workbench.api.template import template as find_template
from workbench.errors import DataError, RecipeError, WorkbenchError
from workbench.options import MaskOptions, RowOptions
from workbench.rows.columns import guess_columns
from workbench.rows.formats import FORMATS, format_named
from workbench.rows.scan import Scan
from workbench.tokens.encode import load_tokenizer
from workbench.tokens.setting import Setting
from workbench.types import Finding, FormatMatch


class PickedData:
    """The choices made so far.

    Attributes:
        data: The rows as they are read now.
        template: The chat template, None where rows need none.
        tokenizer: Name or path.
        max_length: Tokens a row may have, None for no limit.
        options: What was chosen for `data.encode` besides: `train_on` and fields of `MaskOptions`.
    """

    def __init__(self, rows: Data, tokenizer: str = "tiny-llama", template: str | None = None) -> None:
        self.data, self.tokenizer, self.max_length = rows, tokenizer, None
        self.options: dict[str, Any] = {}
        self._given = template
        self._sample = Sample(rows.source)
        self._shown: int | None = None
        self._scanned: tuple[int, int] | None = None
        self._widget: Any = None
        self._tokenizer: Any = None
        self._background: Background | None = None
        self._lock = threading.RLock()

    # Changes

    def choose(self, kind: str, value: Any) -> dict[str, Any]:
        """Apply one change of the picker and return what to show.

        Args:
            kind: `type`, `role`, `speaker`, `option`, `max_length`, `template`, `leave_out`, `take_back` or `row`.
            value: What the page sent for it.

        Raises:
            WorkbenchError: For a choice that cannot be; nothing changes then.
        """
        changes = {
            "type": self._set_type,
            "role": self._set_role,
            "speaker": self._set_speaker,
            "option": self._set_option,
            "max_length": self._set_max_length,
            "template": self._set_template,
            "leave_out": self._leave_out,
            "take_back": self._take_back,
            "row": self._show_row,
        }
        if kind not in changes:
            raise RecipeError(f"There is no choice {kind!r}.", remedy=f"Known: {', '.join(changes)}.", code="WB402")
        with self._lock:
            before = (self.data, self.options, self.max_length, self._given, self._shown)
            try:
                changes[kind](value)
                state = self._state(briefly=self._background is not None)
            except WorkbenchError:
                self.data, self.options, self.max_length, self._given, self._shown = before
                raise
        if self._background is not None and kind not in ("max_length", "row"):
            self._background.follow()
        return state

    @property
    def template(self) -> str | None:
        """The chat template, None where rows need none."""
        return (self._given or self.tokenizer) if self._sample.read(self.data, briefly=True).is_chat else None

    def _set_type(self, value: Any) -> None:
        name = format_named(str(value)).name
        _, answers = question_view(self.data)
        said = answers.get(name, {})
        self.data = self._reopened(name) if self._must_reopen(name) else self.data
        mapping = guess_columns(self._sample.shapes, name, said)
        self._read_as(name, mapping, self.data.options, "you")

    def _must_reopen(self, name: str) -> bool:
        """Joined rows are others than those of the file."""
        return FORMATS[name].joined or bool(self.data.entry and self.data.entry.joined)

    def _reopened(self, name: str) -> Data:
        source = self.data.source
        if source.path is None and self.data.entry and self.data.entry.joined:
            raise DataError(
                "The rows were joined to conversations, and what they were before is gone.",
                remedy="Give wb.data(rows, type=…) the rows again.",
                code="WB553",
            )
        said = {key: self.data.given[key] for key in ("split", "limit") if key in self.data.given}
        opened = open_data(source.path or source.rows, type=name, **said)
        self._sample, self._scanned = Sample(opened.source), None
        return opened

    def _set_role(self, value: Any) -> None:
        column, role = str(value["column"]), value["role"]
        columns = {ours: theirs for ours, theirs in self.data.columns.items() if theirs != column and ours != role}
        if role:
            columns[str(role)] = column
        self._read_as(self.data.type or "messages", columns, self.data.options, self.data.chosen_by)

    def _set_speaker(self, value: Any) -> None:
        roles = {name: role for name, role in self.data.options.roles.items() if name != value["spelling"]}
        if value["role"]:
            roles[str(value["spelling"])] = str(value["role"])
        self._read_with(roles=roles)

    def _set_option(self, value: Any) -> None:
        name, wanted = str(value["name"]), value["value"]
        if name in ROW_OPTIONS:
            self._read_with(**{name: wanted})
        elif name in MASK_OPTIONS or name == "train_on":
            chosen = {**self.options, name: wanted}
            mask = MaskOptions.from_keywords({key: item for key, item in chosen.items() if key in MASK_OPTIONS})
            policy = chosen.get("train_on")
            self.options = ({"train_on": policy} if policy and policy != self._policy(None) else {}) | mask.changed()
        else:
            raise RecipeError(f"There is no option {name!r}.", remedy="See workbench.options.", code="WB401")

    def _read_with(self, **change: Any) -> None:
        options = RowOptions.from_keywords({**self.data.options.changed(), **change})
        self._read_as(self.data.type or "messages", self.data.columns, options, self.data.chosen_by)

    def _read_as(self, name: str, columns: Mapping[str, str], options: RowOptions, by: str) -> None:
        """Read the same opened rows another way."""
        said = said_columns(self._sample.shapes, name, columns)
        kept = {key: self.data.given[key] for key in ("split", "limit") if self.data.given.get(key) is not None}
        given = {"type": name, **({"columns": said} if said else {}), **kept, **options.changed()}
        unused = {ours: theirs or "" for ours, theirs in said.items() if theirs is None}
        self.data = replace(
            self.data,
            type=name,
            columns={**{ours: theirs for ours, theirs in columns.items() if theirs}, **unused},
            chosen_by=by,
            findings=self.data.findings if by == "detected" else self.data.source.findings,
            options=options,
            given=given,
        )
        self._scanned = None

    def _set_max_length(self, value: Any) -> None:
        self.max_length = None if value is None else max(1, int(value))

    def _set_template(self, value: Any) -> None:
        find_template(str(value))
        self._given = str(value)

    def _leave_out(self, value: Any) -> None:
        self.data = self.data.without(int(value))
        self._shown = None

    def _take_back(self, value: Any) -> None:
        self.data = replace(self.data, left_out=tuple(row for row in self.data.left_out if row != int(value)))

    def _show_row(self, value: Any) -> None:
        if value is not None and not 0 <= int(value) < self._sample.count:
            remedy = f"Rows go from 0 to {self._sample.count - 1}."
            raise DataError(f"There is no row {value}.", remedy=remedy, code="WB553")
        self._shown = None if value is None else int(value)

    # What comes of them

    def encode(self, **more: Any) -> Encoded:
        """Encode with the choices made."""
        chosen = {"max_length": self.max_length, **self.options, **more}
        return self.data.encode(self.template, tokenizer=self.tokenizer, **chosen)

    def code(self) -> str:
        """The lines of Python that do the same."""
        chat = f"wb.template({self.template!r}), " if self.template else ""
        length = {"max_length": self.max_length} if self.max_length else {}
        more = "".join(f", {name}={value!r}" for name, value in {**self.options, **length}.items())
        return f"{self._explicit.code()}\nenc = data.encode({chat}tokenizer={self.tokenizer!r}{more})"

    @property
    def _explicit(self) -> Data:
        """The data with its type and columns said, though they were detected: what was understood is to be seen."""
        data, kind = self.data, self.data.type
        if kind is None or isinstance(data.given.get("type"), Mapping):
            return data
        said = {} if FORMATS[kind].joined else said_columns(self._sample.shapes, kind, data.columns)
        return replace(data, given={"type": kind, "columns": said, **_without(data.given, "type", "columns")})

    # What is shown

    def state(self) -> dict[str, Any]:
        """What the picker shows (docs/wire.md section 4)."""
        with self._lock:
            return self._state(briefly=False)

    def _state(self, *, briefly: bool) -> dict[str, Any]:
        data, sample = self.data, self._sample
        reading = self._sample.read(data, briefly=briefly)
        entry = data.entry
        shown = preview_rows(data, sample)
        question, _ = question_view(data)
        absent = absent_roles(data, sample)
        misfits = misfits_view(data, reading)
        return {
            "turn": 0,
            "source": source_view(data, sample),
            "type": data.type,
            "types": types_view(data, sample),
            "chosen_by": data.chosen_by,
            "fit": fit_view(reading, self._scanned),
            "question": question,
            "notices": notices_view(data),
            "columns": columns_view(data, sample),
            "roles": [{"name": c.name, "required": c.required} for c in entry.columns] if entry else [],
            "absent": absent,
            "preview": [[cell(data[row].get(name)) for name in sample.names] for row in shown],
            "row_numbers": shown,
            "misfits": {**misfits, "rows": [], "total": 0} if absent else misfits,
            "shown_row": self._shown_row(reading),
            "left_out": list(data.left_out),
            "speakers": speakers_view(data, sample),
            "options": options_view(sample, reading, data.options, self.options) if entry else [],
            **self._tokens(reading, briefly),
            "max_length": self.max_length,
            "code": self.code(),
        }

    def _shown_row(self, reading: Reading) -> dict[str, Any] | None:
        if self._shown is None:
            return None
        item = reading.misfits.get(self._shown)
        return {"row": self._shown, "values": values_view(self.data, self._shown, item, full=True)}

    def _tokens(self, reading: Reading, briefly: bool) -> dict[str, Any]:
        """Lengths, template and the first row rendered; why not, where tokenizer or template cannot be used."""
        template: dict[str, Any] = {
            "name": self.template,
            "groups": template_groups(self.data, self.template, self.tokenizer),
            "refusal": None,
        }
        nothing: dict[str, Any] = {"lengths": None, "cut": {"rows": 0, "share": 0.0}, "rendered": None}
        if not reading.examples:
            return {**nothing, "template": template}
        try:
            setting = self._setting()
            measured = lengths(reading, setting, self._length_key(setting), briefly=briefly)
            first = self._sample.first(self.data, reading)
            shown = rendered(first, setting) if first is not None else None
        except WorkbenchError as error:
            refusal = Finding(error.code, "error", error.message, remedy=error.remedy)
            return {**nothing, "template": {**template, "refusal": asdict(refusal)}}
        measured = {row: length for row, length in measured.items() if row not in self.data.left_out}
        long = "chunked" if self.data.type == "text" and setting.options.long_text == "chunk" else "cut"
        return {
            "lengths": lengths_view(measured, self._sample.count - len(self.data.left_out), long),
            "cut": cut_view(measured, self.max_length),
            "template": {**template, "refusal": asdict(shown)} if isinstance(shown, Finding) else template,
            "rendered": None if isinstance(shown, Finding) else shown,
        }

    def _setting(self, tokenizer: Any = None) -> Setting:
        """What decides tokens and labels; a thread brings a tokenizer of its own, because they are not shared well."""
        if tokenizer is None:
            self._tokenizer = tokenizer = self._tokenizer or load_tokenizer(self.tokenizer)
        chat = find_template(self.template) if self.template else None
        info = chat.with_tokenizer(tokenizer) if chat else None
        mask = MaskOptions.from_keywords({key: item for key, item in self.options.items() if key in MASK_OPTIONS})
        return Setting(tokenizer, info, self._policy(self.options.get("train_on")), options=mask)

    def _length_key(self, setting: Setting) -> tuple[Any, ...]:
        """What lengths depend on beside the rows."""
        return (
            setting.template.sha256 if setting.template else None,
            setting.options.pieces,
            setting.options.long_text,
        )

    def _policy(self, chosen: Any) -> Any:
        """`train_on`; what `data.encode` takes by itself where nothing was chosen."""
        return chosen or ("completion" if self.data.type == "prompt_completion" else "assistant")

    # What goes on behind

    def complete_sample(self) -> None:
        """Read and measure the whole sample."""
        reading = self._sample.read(self.data)
        if not reading.examples:
            return
        try:
            setting = self._setting(load_tokenizer(self.tokenizer))
            lengths(reading, setting, self._length_key(setting))
        except WorkbenchError:
            return  # the state says why nothing can be measured

    @property
    def unread(self) -> FormatMatch | None:
        """What rows nobody has looked at are held against; None where there are none, or no end is known."""
        data, sample = self.data, self._sample
        if data.type is None or not sample.complete or sample.count <= READ_ROWS or self._scanned is not None:
            return None
        type = "messages" if data.entry and data.entry.joined else data.type
        return match_of(type, {ours: theirs for ours, theirs in data.columns.items() if theirs})

    def take_scan(self, seen: Scan, match: FormatMatch) -> bool:
        """Take over what was found in all rows, where they are still read that way; whether they are."""
        with self._lock:
            if self.unread != match:
                return False
            reading = self._sample.look_into(self.data, seen.misfit_rows)
            only_here = sum(row not in set(seen.misfit_rows) for row in reading.misfits)
            self._scanned = (seen.rows - seen.misfits - only_here, seen.rows)
            return True

    @property
    def widget(self) -> Any:
        """The anywidget."""
        if self._widget is None:
            from workbench.widgets.picker import Picker

            self._widget = Picker(self.state(), self.choose)
            self._background = Background(self, self._refresh)
            self._background.follow()
        return self._widget

    def _refresh(self, scan: dict[str, object] | None) -> None:
        """Show running counts, or the state as it is now."""
        if scan is not None:
            self._widget.scan = scan
        else:
            self._widget.refresh(self.state)

    def __repr__(self) -> str:
        return self.code()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        made = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        bundle, metadata = made if isinstance(made, tuple) else (made, {})
        return {**(bundle or {}), "text/html": static_html(self.widget.state), "text/plain": repr(self)}, metadata


def _without(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def picker(rows: Data, tokenizer: str = "tiny-llama") -> PickedData:
    """A picker for the rows."""
    return PickedData(rows, tokenizer)


def mimebundle(rows: Data) -> Any:
    """What a cell that ends in `data` shows: the picker, with a static table and text for other viewers."""
    try:
        bundle, metadata = PickedData(rows)._repr_mimebundle_()
    except WorkbenchError as error:
        return {"text/plain": f"{rows!r}\n{error}", "text/html": f"<pre>{escape(f'{rows!r}')}</pre>"}
    return {**bundle, "text/plain": repr(rows)}, metadata
