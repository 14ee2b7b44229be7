// A click on a column's name sorts the table by it, a second click the other way round.
const key = (row, column) => {
  const cell = row.cells[column];
  // A row that failed has fewer cells.
  if (cell === undefined) return "";
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
};
const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
};
for (const button of document.querySelectorAll("thead button")) {
  button.title = "sort by this column";
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const rows = [...body.rows];
    rows.sort((a, b) => compare(key(a, head.cellIndex), key(b, head.cellIndex)) * (up ? 1 : -1));
    body.append(...rows);
  });
}
// A click on a name beside a picture hides its curve, a second click shows it again.
for (const name of document.querySelectorAll("[data-key]")) {
  const toggle = () => {
    const off = name.classList.toggle("off");
    name.setAttribute("aria-pressed", String(!off));
    const curve = name.closest("svg").querySelector(`[data-curve="${name.dataset.key}"]`);
    curve?.classList.toggle("off", off);
  };
  name.setAttribute("role", "button");
  name.setAttribute("tabindex", "0");
  name.setAttribute("aria-pressed", "true");
  name.addEventListener("click", toggle);
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle();
    }
  });
}
// Words in a field leave only the rows whose names have them all.
const label = document.createElement("label");
label.className = "filter";
const field = document.createElement("input");
field.type = "search";
field.placeholder = "HiRoPE logn";
label.append("Only rows with ", field);
document.querySelector("nav").after(label);
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/);
  for (const row of document.querySelectorAll("tbody tr")) {
    const name = [...row.querySelectorAll("th")].map((cell) => cell.textContent.toLowerCase()).join(" ");
    row.hidden = !words.every((word) => name.includes(word));
  }
});
// Print shows what is folded away.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
