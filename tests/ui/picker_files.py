"""Files a person might drop in: a table with odd columns, and chats in which somebody speaks whom nobody knows."""

import csv
import json
import random
from pathlib import Path

ASKED = (
    "How do I keep hollandaise from splitting?",
    "Why does bread need salt?",
    "What can replace eggs in a cake?",
    "Is raw flour safe?",
    "How long do I rest a steak?",
)
SAID = (
    "Keep it below 65 °C and add the butter slowly.",
    "Salt slows the yeast, strengthens the gluten and brings out the taste.",
    "Half a cup of apple purée, or ground flaxseed with water.",
    "Bake it first; it may hold germs.",
    "As long as it cooked, under foil.",
)
TOPICS = ("sauces", "bread", "baking", "safety", "meat", "menus", "units", "fish", "rice", "soups", "eggs", "fruit")
EMPTY = 1204
"""The row of the table without an answer."""


def kitchen_csv(folder: Path, rows: int = 2000) -> Path:
    """Questions and answers of very different length; one answer is empty."""
    random.seed(7)
    path = folder / "kitchen.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "remark", "answer", "topic", "id"])
        for row in range(rows):
            topic = row % len(ASKED)
            remark = "" if row % 3 else f"for {row % 7 + 1} people"
            answer = "" if row == EMPTY else " ".join([SAID[topic]] * int(random.lognormvariate(0.9, 0.7) + 1))
            writer.writerow([ASKED[topic], remark, answer, TOPICS[row % len(TOPICS)], f"q-{row:04}"])
    return path


def support_jsonl(folder: Path, rows: int = 60) -> Path:
    """Chats between a customer and gpt."""
    path = folder / "support.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            turns = [
                {"from": "customer", "value": f"My order {row} is late."},
                {"from": "gpt", "value": "I am sorry. It leaves today."},
            ]
            file.write(json.dumps({"talk": turns, "shop": "north"}) + "\n")
    return path


def pairs_jsonl(folder: Path, rows: int = 40) -> Path:
    """Preferences: a chosen and a rejected answer."""
    path = folder / "pairs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            made = {"prompt": f"What is {row} + 2?", "chosen": f"It is {row + 2}.", "rejected": f"It is {row + 3}."}
            file.write(json.dumps(made) + "\n")
    return path


def notebook(*sources: str) -> str:
    """A notebook with these code cells."""
    cells = [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "id": f"c{i}", "source": source}
        for i, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells})
