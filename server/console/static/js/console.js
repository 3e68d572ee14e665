// On every page: hide and unlock, clocks that stay true, print. Everything here is an addition; the page
// works without it.
import { Button, ErrorSummary, SkipLink, createAll } from "../vendor/govuk-frontend.min.js";

const root = document.documentElement;

// GOV.UK Frontend looks for this on the body; early.js runs before there is one.
if (root.classList.contains("govuk-frontend-supported")) document.body.classList.add("govuk-frontend-supported");
for (const component of [Button, ErrorSummary, SkipLink]) createAll(component);


// --- hide the page: Escape twice, or the button ---------------------------------------------------------

const HIDDEN = "earlysign.hidden";
const TWICE_MS = 700;
const cover = document.getElementById("cover");

function remember(hidden) {
  try {
    if (hidden) localStorage.setItem(HIDDEN, "1");
    else localStorage.removeItem(HIDDEN);
  } catch {
    // Storage is blocked: this tab hides alone.
  }
}

function showCover(focus) {
  root.classList.add("is-hidden");
  for (const part of document.body.children) if (part !== cover) part.inert = true;
  cover.hidden = false;
  if (focus) document.getElementById("cover-password").focus();
}

function takeCoverAway() {
  root.classList.remove("is-hidden");
  for (const part of document.body.children) part.inert = false;
  cover.hidden = true;
  document.getElementById("cover-form").reset();
}

function hide() {
  remember(true);
  showCover(true);
}

async function unlock(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const said = document.getElementById("cover-error");
  let words = "That is not your password.";
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" } });
    if (answer.ok) {
      said.hidden = true;
      remember(false);
      takeCoverAway();
      return;
    }
    if (answer.status === 429) words = "Too many tries. Wait a few minutes, then try again.";
    else if (answer.status !== 401) words = "That did not work. Try again, or sign out.";
    else if ((await answer.json()).type === "/problems/not-signed-in") {
      // Nothing of the hidden page may be left behind: it is loaded anew after signing in.
      window.location.replace(`/sign-in?next=${encodeURIComponent(window.location.pathname + window.location.search)}`);
      return;
    }
  } catch {
    words = "The server does not answer. Try again.";
  }
  said.textContent = words;
  said.hidden = false;
  const field = document.getElementById("cover-password");
  field.value = "";
  field.focus();
}

if (cover) {
  let last = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat) return;
    const now = performance.now();
    if (now - last < TWICE_MS) hide();
    last = now;
  });
  for (const button of document.querySelectorAll("[data-hide]")) button.addEventListener("click", hide);
  document.getElementById("cover-form").addEventListener("submit", unlock);
  window.addEventListener("storage", (event) => {
    if (event.key !== HIDDEN) return;
    if (event.newValue === "1") showCover(false);
    else takeCoverAway();
  });
  if (root.classList.contains("is-hidden")) showCover(true);
} else {
  // Nobody is signed in on this page, so there is nothing to hide. Only signing in anew shows the other tabs.
  if (document.querySelector('form[action="/sign-in"]')) remember(false);
  root.classList.remove("is-hidden");
}

// --- clocks: the same words as server/console/words.py --------------------------------------------------

const MINUTE_MS = 60000;
const CLOCK_NEAR = 0.25;
const TICK_MS = 15000;

export function duration(length) {
  const minutes = Math.floor(Math.abs(length) / MINUTE_MS);
  if (minutes < 1) return "under 1\u00a0min";
  if (minutes < 60) return `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (hours < 10 && rest) return `${hours}\u00a0h ${rest}\u00a0min`;
  if (hours < 48) return `${hours}\u00a0h`;
  return `${Math.floor(hours / 24)}\u00a0days`;
}

export function reading(raised, deadline, now) {
  if (now >= deadline) return { text: `late by ${duration(now - deadline)}`, tone: "late", share: 1 };
  const share = Math.min(1, Math.max(0, (now - raised) / Math.max(1, deadline - raised)));
  return { text: `${duration(deadline - now)} left`, tone: 1 - share <= CLOCK_NEAR ? "close" : "calm", share };
}

// The server's time, not this computer's: what matters is how long ago the page was made.
const made = Number(document.body.dataset.now);
const opened = performance.now();

function tick() {
  const now = made + (performance.now() - opened);
  for (const clock of document.querySelectorAll("[data-clock]")) {
    const { text, tone, share } = reading(Number(clock.dataset.raised), Number(clock.dataset.deadline), now);
    if (clock.textContent === text) continue;
    clock.textContent = text;
    clock.className = `clock clock--${tone}`;
    const bar = clock.nextElementSibling;
    if (!bar || !bar.classList.contains("clockbar")) continue;
    bar.setAttribute("class", `clockbar clockbar--${tone}`);
    bar.firstElementChild.setAttribute("width", String(Math.round(share * 1000) / 10));
  }
}

if (made) {
  setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", tick);
}

// --- search: the key / goes to its box, from any page ------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (root.classList.contains("is-hidden") || event.target.closest("input, textarea, select")) return;
  const box = document.getElementById("search-text");
  const link = document.querySelector('.masthead__nav a[href="/search"]');
  if (!box && !link) return;
  event.preventDefault();
  if (box) {
    box.focus();
    box.select();
  } else link.click();
});

// --- print -----------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());

// --- a link to an entry shows which one ------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  const target = link && document.getElementById(decodeURIComponent(link.getAttribute("href").slice(1)));
  if (target && target.classList.contains("entry")) {
    target.tabIndex = -1;
    requestAnimationFrame(() => target.focus());
  }
});
