// One key for each decision (they can be turned off). The buttons do the same without any script.
const form = document.getElementById("review");
const toggle = document.getElementById("keys-toggle");
const said = document.getElementById("keys-said");
const OFF = "earlysign.keys-off";
// The second press of a double tap belongs to the page before, and must not decide a review unseen.
const DEAF_MS = 600;
let ready = false;
let chosen = null;

function stored() {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false;
  }
}

let off = stored();

function frame(column, tell) {
  if (!column || column === chosen || column.hasAttribute("data-out")) return;
  chosen = column;
  showFrame();
  if (tell) said.textContent = `Candidate ${column.dataset.candidate} is framed.`;
}

function showFrame() {
  for (const column of form.querySelectorAll("[data-candidate]")) column.classList.toggle("column--chosen", column === chosen && !off);
}

function target(key) {
  if (key === "x") return chosen && chosen.querySelector("[data-not]");
  if (/^[1-5nczjk]$/.test(key)) return document.querySelector(`[data-key="${key}"]`);
  return null;
}

function keyed(event) {
  if (off || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat || event.isComposing) return;
  if (event.target.closest("input:not([type=hidden]), textarea, select, [contenteditable]")) return;
  if (document.documentElement.classList.contains("is-hidden")) return;
  const found = target(event.key);
  if (!found) return;
  event.preventDefault();
  if (ready) {
    ready = false;
    found.click();
  }
}

function listen() {
  ready = true;
  document.documentElement.dataset.keys = "ready";
}

function showToggle() {
  toggle.textContent = off ? "Turn keys on" : "Turn keys off";
  showFrame();
}

frame(form.querySelector("[data-candidate]:not([data-out])"), false);
form.addEventListener("focusin", (event) => frame(event.target.closest("[data-candidate]"), true));
form.addEventListener("click", (event) => frame(event.target.closest("[data-candidate]"), false));
document.addEventListener("keydown", keyed);
// A page that comes back from the browser's memory listens again.
window.addEventListener("pageshow", () => {
  delete document.documentElement.dataset.keys;
  setTimeout(listen, DEAF_MS);
});
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

// What was just done is read out first, and Tab goes on from there.
const notice = document.querySelector(".notice");
if (notice && !location.hash) {
  notice.tabIndex = -1;
  notice.focus({ preventScroll: true });
}
