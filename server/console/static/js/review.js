// One key for each decision (they can be turned off). The buttons do the same without any script.
const form = document.getElementById("review");
const toggle = document.getElementById("keys-toggle");
const said = document.getElementById("keys-said");
const OFF = "earlysign.keys-off";
let chosen = 1;

function stored() {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false;
  }
}

let off = stored();

function choose(position, focus) {
  const column = document.getElementById(`candidate-${position}`);
  if (!column) return;
  chosen = position;
  for (const other of form.querySelectorAll("[data-candidate]")) other.classList.toggle("column--chosen", other === column && !off);
  if (!focus) return;
  column.focus({ preventScroll: true });
  column.scrollIntoView({ block: "nearest", inline: "nearest" });
  said.textContent = `Candidate ${position} chosen.`;
}

function press(button) {
  if (button) button.click();
}

function keyed(event) {
  if (off || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input:not([type=hidden]), textarea, select")) return;
  if (document.documentElement.classList.contains("is-hidden")) return;
  const key = event.key.toLowerCase();
  if (key >= "1" && key <= String(form.dataset.candidates)) choose(Number(key), true);
  else if (key === "s") press(form.querySelector(`[data-same="${chosen}"]`));
  else if (key === "n") press(form.querySelector(`[data-not="${chosen}"]`));
  else if (["0", "c", "u"].includes(key)) press(document.querySelector(`[data-key="${key}"]`));
}

function showToggle() {
  toggle.textContent = off ? "Turn keys on" : "Turn keys off";
  choose(chosen, false);
}

document.addEventListener("keydown", keyed);
if (toggle) {
  toggle.addEventListener("click", () => {
    off = !off;
    try {
      localStorage.setItem(OFF, off ? "1" : "0");
    } catch {
      // Storage is blocked: the choice holds for this page only.
    }
    showToggle();
  });
  showToggle();
}
