"""Makes the log of a fallible model in production, with the right answers beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.known import GOLD_FILE, TRACES_FILE
from distil_dagster.simulator.rule_knowledge import RuleKnowledge

# Shares of the log that are not as they should be; the rest is clean.
_NOISE_SHARES = {"wrong_label": 0.25, "irrelevant": 0.10, "corrupted": 0.05, "duplicate": 0.05}
_WRONG_LABELS = {"wrong_class": 6, "unknown_class": 2, "verbose_right_class": 2}
_IRRELEVANT = {"forced_label": 1, "chitchat": 1}
_CORRUPTIONS = ("user_truncated", "garbled_user", "assistant_truncated", "assistant_empty", "assistant_missing")
_DUPLICATES = ("exact", "near_space", "near_punct", "near_case")
_INVENTED_LABELS = ("general_support", "CustomerIssue", "needs_review", "second_level", "other", "hardware-team")
_VERBOSE = ("The right team is {}.", "This mail should go to {}.", "Team: {}", "{} (high confidence)")
_GARBLED_SHARE = 0.3


@dataclass(frozen=True)
class LoggedMail:
    """One line of the log: what was asked and answered, and what is true.

    `user` is the mail as logged, `question` as it was written; `observed` is the logged answer, `None` where none was.
    """

    user: str
    question: str
    answer: str | None
    observed: str | None
    noise: str
    sub: str | None = None
    dup_of: int | None = None
    orig_noise: str | None = None


def write_noisy_traces(rules_folder: Path, folder: Path, count: int, seed: int) -> None:
    """Write `traces.jsonl` and `gold.jsonl`, line by line about the same mail; the same bytes for the same seed.

    Raises:
        DataError: the rules cannot be read.
    """
    knowledge = RuleKnowledge.of(rules_folder)
    log = noisy_log(knowledge, count, Random(seed))
    traces = [_trace(mail, knowledge.rules.system_prompt) for mail in log]
    gold = [{"line": line} | _gold(mail) for line, mail in enumerate(log, start=1)]
    for name, rows in ((TRACES_FILE, traces), (GOLD_FILE, gold)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def noisy_log(knowledge: RuleKnowledge, count: int, random: Random) -> list[LoggedMail]:
    """`count` logged mails in random order, with every kind of noise in its fixed share."""
    kinds = [kind for kind, share in _NOISE_SHARES.items() for _ in range(round(count * share)) if kind != "duplicate"]
    originals = count - round(count * _NOISE_SHARES["duplicate"])
    kinds += ["clean"] * (originals - len(kinds))
    random.shuffle(kinds)
    mails = _distinct_mails(knowledge, kinds, random)
    log = [_NOISE[kind](knowledge, mail, random) for kind, mail in zip(kinds, mails, strict=True)]
    return _with_duplicates(log, count - originals, random)


def _distinct_mails(knowledge: RuleKnowledge, kinds: Sequence[str], random: Random) -> list[str]:
    weights = knowledge.rules.class_weights
    seen, mails = set[str](), list[str]()
    while len(mails) < len(kinds):
        if kinds[len(mails)] == "irrelevant":
            mail = knowledge.irrelevant(random)
        else:
            team = random.choices(list(weights), list(weights.values()))[0]
            mail = knowledge.mails(team, 1, random)[0]
        if normalised(mail) not in seen:
            seen.add(normalised(mail))
            mails.append(mail)
    return mails


def _clean(knowledge: RuleKnowledge, mail: str, _random: Random) -> LoggedMail:
    answer = knowledge.team(mail)
    return LoggedMail(mail, mail, answer, answer, "clean")


def _wrong_label(knowledge: RuleKnowledge, mail: str, random: Random) -> LoggedMail:
    answer = knowledge.team(mail)
    sub = random.choices(list(_WRONG_LABELS), list(_WRONG_LABELS.values()))[0]
    observed = {
        "wrong_class": knowledge.other_team(mail, random),
        "unknown_class": random.choice(_INVENTED_LABELS),
        "verbose_right_class": random.choice(_VERBOSE).format(answer),
    }[sub]
    return LoggedMail(mail, mail, answer, observed, "wrong_label", sub)


def _irrelevant(knowledge: RuleKnowledge, mail: str, random: Random) -> LoggedMail:
    sub = random.choices(list(_IRRELEVANT), list(_IRRELEVANT.values()))[0]
    forced = random.choice(knowledge.classes)
    observed = forced if sub == "forced_label" else "I can only route support mail."
    return LoggedMail(mail, mail, None, observed, "irrelevant", sub)


def _corrupted(knowledge: RuleKnowledge, mail: str, random: Random) -> LoggedMail:
    answer = knowledge.team(mail) or ""
    whole = LoggedMail(mail, mail, answer, answer, "corrupted", random.choice(_CORRUPTIONS))
    if whole.sub == "user_truncated":
        return replace(whole, user=_cut_inside_a_word(mail, random))
    if whole.sub == "garbled_user":
        return replace(whole, user=_garbled(mail, random))
    if whole.sub == "assistant_truncated":
        return replace(whole, observed=answer[: random.randrange(3, len(answer))])
    return replace(whole, observed="" if whole.sub == "assistant_empty" else None)


_NOISE = {"clean": _clean, "wrong_label": _wrong_label, "irrelevant": _irrelevant, "corrupted": _corrupted}


def _cut_inside_a_word(mail: str, random: Random) -> str:
    inside = [
        place
        for place in range(len(mail) // 4, 3 * len(mail) // 4)
        if mail[place - 1].isalpha() and mail[place].isalpha()
    ]
    return mail[: random.choice(inside)]


def _garbled(mail: str, random: Random) -> str:
    letters = [
        random.choice("\ufffd%~@^#") if letter.isalpha() and random.random() < _GARBLED_SHARE else letter
        for letter in mail
    ]
    return "\ufffd" + "".join(letters)


def _with_duplicates(log: Sequence[LoggedMail], count: int, random: Random) -> list[LoggedMail]:
    """The log with `count` mails logged a second time, anywhere; `dup_of` is the other's line, counted from 1."""
    repeatable = [place for place, mail in enumerate(log) if mail.noise in ("clean", "wrong_label")]
    order = [(place, False) for place in range(len(log))]
    order += [(place, True) for place in random.sample(repeatable, count)]
    random.shuffle(order)
    line_of = {place: line for line, (place, repeated) in enumerate(order, start=1) if not repeated}
    return [
        _repeated(log[place], line_of[place], random.choice(_DUPLICATES)) if repeated else log[place]
        for place, repeated in order
    ]


def _repeated(mail: LoggedMail, line: int, sub: str) -> LoggedMail:
    user = {
        "exact": mail.user,
        "near_space": f"  {mail.user} \n",
        "near_punct": mail.user[:-1] + " " + mail.user[-1],
        "near_case": mail.user.upper(),
    }[sub]
    return replace(mail, user=user, noise="duplicate", sub=sub, dup_of=line, orig_noise=mail.noise)


def _trace(mail: LoggedMail, system_prompt: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": system_prompt}, {"role": "user", "content": mail.user}]
    if mail.observed is not None:
        messages.append({"role": "assistant", "content": mail.observed})
    return {"messages": messages}


def _gold(mail: LoggedMail) -> dict[str, Any]:
    known = asdict(mail)
    del known["user"]
    if mail.noise != "duplicate":
        del known["dup_of"], known["orig_noise"]
    return {key: known[key] for key in ("noise", "sub", "question", "answer", "observed") if key in known} | known
