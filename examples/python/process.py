"""Describe the columns of a CSV file, in constant memory: how many values each has, and its least, greatest and mean number."""

import csv
import io
import json
import math
import os
import sys


class Column:
    def __init__(self, name):
        self.name, self.values, self.numbers, self.sum = name, 0, 0, 0.0
        self.least = self.greatest = None

    def add(self, value):
        if value == "":
            return
        self.values += 1
        try:
            number = float(value)
        except ValueError:
            return
        if not math.isfinite(number):  # float takes "NaN" and "inf", which are no numbers to count with
            return
        self.numbers, self.sum = self.numbers + 1, self.sum + number
        self.least = number if self.least is None else min(self.least, number)
        self.greatest = number if self.greatest is None else max(self.greatest, number)

    def describe(self):
        description = {"name": self.name, "values": self.values}
        if self.numbers == self.values > 0:
            description |= {"least": self.least, "greatest": self.greatest, "mean": self.sum / self.numbers}
        return description


def main():
    text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
    rows = csv.reader(text, delimiter=os.environ.get("DELIMITER", ","), strict=True)
    names = next(rows, None)
    if not names:
        sys.exit("the file is empty: its first row must have the columns' names")
    columns, count = [Column(name) for name in names], 0
    for count, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            sys.exit(f"line {rows.line_num} has {len(row)} values, and the first has {len(columns)}")
        for column, value in zip(columns, row):
            column.add(value)
    profile = {"rows": count, "columns": [column.describe() for column in columns]}
    with open(os.path.join(os.environ["UPLOAD_OUTPUT_DIR"], "profile.json"), "w", encoding="utf-8") as file:
        json.dump(profile, file, ensure_ascii=False, indent=2, allow_nan=False)
    print(count, "rows of", os.environ["UPLOAD_KEY"], file=sys.stderr)
    json.dump({"rows": count, "columns": len(columns)}, sys.stdout)


main()
