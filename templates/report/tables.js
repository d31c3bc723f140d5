// Lets the tables be sorted and filtered. The page says the same without it.
"use strict";

const compare = (head, column) => {
  const key = (row) => row.cells[column].textContent.trim();
  return head.classList.contains("n")
    ? (one, other) => (Number(key(one)) || 0) - (Number(key(other)) || 0)
    : (one, other) => (key(one) < key(other) ? -1 : Number(key(one) > key(other)));
};

const makeSortable = (table) => {
  const body = table.tBodies[0];
  // Rows that tie stand as they do in the file, whichever way it is sorted.
  const inFile = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isUp = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      const order = compare(head, column);
      body.append(...[...inFile].sort(isUp ? order : (one, other) => order(other, one)));
    });
  });
};

const makeFilterable = (table) => {
  const rows = Array.from(table.tBodies[0].rows);
  const label = document.createElement("label");
  const field = document.createElement("input");
  const told = document.createElement("output");
  label.className = "filter";
  field.type = "search";
  told.setAttribute("aria-live", "polite");
  label.append("Filter these rows ", field, " ", told);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const isShown = (row) => row.textContent.toLowerCase().includes(wanted);
    rows.forEach((row) => { row.hidden = !isShown(row); });
    told.textContent = wanted ? `${rows.filter(isShown).length} of ${rows.length} rows` : "";
  });
  table.parentElement.before(label);
};

for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(table);
  if (table.tBodies[0].rows.length > 5) makeFilterable(table);
}
