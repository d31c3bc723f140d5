"""Reads CSV reports as others do, pandas and LibreOffice, and holds every cell
against the JSON of the same report.

    read_back.py DIR DELIMITER [bom]

DIR holds NAME.csv and NAME.json. What differs is printed, and ends with status
1. LibreOffice must not take any cell for a formula, and must take our numbers
and dates for such. It gets the encoding named, but with `bom`: then the file
says it itself.
"""

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from pathlib import Path

import pandas

AMOUNTS = {"amount", "deductions", "refund_amount"}
DATES = {"last_day"}
# Codes of ours, which are not guarded.
CODES = {"step"}
# OWASP, CSV injection.
DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def guarded(column, value):
    """The text that a cell must have in CSV."""
    if value is None:
        return ""
    text = str(value)
    is_text = isinstance(value, str) and column not in AMOUNTS | CODES
    dangerous = text.startswith(DANGEROUS) or text.lstrip().startswith(DANGEROUS)
    return "'" + text if is_text and dangerous else text


def in_a_cell(text):
    """A text as LibreOffice keeps it: one kind of line end, and no tabs."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "")


def of_pandas(path, delimiter):
    frame = pandas.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False)
    return list(frame.columns), frame.values.tolist()


def paragraph(element):
    text = element.text or ""
    for child in element:
        if child.tag == TEXT + "s":
            text += " " * int(child.get(TEXT + "c", "1"))
        elif child.tag == TEXT + "tab":
            text += "\t"
        elif child.tag == TEXT + "line-break":
            text += "\n"
        else:
            text += paragraph(child)
        text += child.tail or ""
    return text


def cells(row):
    """Each cell as it is shown, with its element."""
    for cell in row.iter(TABLE + "table-cell"):
        shown = "\n".join(paragraph(line) for line in cell.findall(TEXT + "p"))
        for _ in range(int(cell.get(TABLE + "number-columns-repeated", "1"))):
            yield shown, cell


def of_libreoffice(paths, delimiter, bom):
    """The rows of each file."""
    with tempfile.TemporaryDirectory() as scratch:
        encoding = "0" if bom else "76"
        command = [
            "soffice",
            "--headless",
            f"-env:UserInstallation=file://{scratch}/profile",
            f"--infilter=CSV:{ord(delimiter)},34,{encoding},1",
            "--convert-to",
            "fods",
            "--outdir",
            f"{scratch}/out",
        ]
        ran = subprocess.run([*command, *paths], capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"soffice: {ran.stdout}{ran.stderr}")
        found = {}
        for path in paths:
            document = ElementTree.parse(f"{scratch}/out/{path.stem}.fods")
            rows = document.getroot().iter(TABLE + "table-row")
            found[path] = [list(cells(row)) for row in rows]
        return found


def in_libreoffice(column, value, read):
    """What LibreOffice made of a cell, if it is something else."""
    shown, cell = read
    formula = cell.get(TABLE + "formula")
    if formula is not None:
        return f"is the formula {formula}"
    kind = cell.get(OFFICE + "value-type")
    expected = guarded(column, value)
    if expected == "":
        is_same = shown == ""
    elif not isinstance(value, str) or column in AMOUNTS:
        is_same = kind == "float" and Decimal(cell.get(OFFICE + "value")) == Decimal(expected)
    elif column in DATES:
        is_same = kind == "date" and cell.get(OFFICE + "date-value") == expected
    elif column == "clause" and kind == "float":
        is_same = shown == expected
    else:
        is_same = kind == "string" and shown == in_a_cell(expected)
    return None if is_same else f"is {kind} {shown!r}, expected {expected!r}"


def in_pandas(column, value, read):
    """What pandas made of a cell, if it is something else."""
    expected = guarded(column, value)
    return None if read == expected else f"is {read!r}, expected {expected!r}"


def compare(expected, columns, rows, problem_of):
    """What a reader made of a report, if it is something else."""
    names = list(expected[0]) if expected else columns
    if columns != names or len(rows) != len(expected):
        yield f"{len(rows)} rows of {columns}, expected {len(expected)} of {names}"
        return
    for number, (row, cells_read) in enumerate(zip(expected, rows), 1):
        if len(cells_read) != len(names):
            yield f"row {number} has {len(cells_read)} cells, expected {len(names)}"
            continue
        for (column, value), read in zip(row.items(), cells_read):
            problem = problem_of(column, value, read)
            if problem:
                yield f"row {number}, {column} {problem}"


def main():
    directory, delimiter, *bom = sys.argv[1:]
    paths = sorted(Path(directory).glob("*.csv"))
    by_libreoffice = of_libreoffice(paths, delimiter, bool(bom))
    wrong, count = [], 0
    for path in paths:
        text = path.with_suffix(".json").read_text("utf-8")
        rows = json.loads(text, parse_float=Decimal)
        count += sum(map(len, rows))
        found = compare(rows, *of_pandas(path, delimiter), in_pandas)
        wrong += [f"{path.name} in pandas: {problem}" for problem in found]
        head, *body = by_libreoffice[path]
        columns = [shown for shown, _ in head]
        found = compare(rows, columns, body, in_libreoffice)
        wrong += [f"{path.name} in LibreOffice: {problem}" for problem in found]
    print("\n".join(wrong[:40]) or f"{count} cells of {len(paths)} files are equal")
    sys.exit(bool(wrong))


main()
