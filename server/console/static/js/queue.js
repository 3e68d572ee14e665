// The live queue. The stream carries ids only; what is shown is fetched. New alerts wait behind a button, so
// that no row moves under the cursor; a row that changed is put in place where it stands.
const stream = document.getElementById("stream");
const fresh = document.getElementById("fresh");
const waiting = new Set();
let missed = false;
let last = document.getElementById("queue-rows").dataset.lastEventId;

let told = ["Connecting", "Connecting to live updates."];

function write() {
  const [short, long] = told;
  const places = [["[data-stream-words]", short], ["[data-stream-long]", long]];
  for (const [selector, words] of places) {
    for (const place of document.querySelectorAll(selector)) if (place.textContent !== words) place.textContent = words;
  }
}

function say(state, short, long) {
  stream.dataset.state = state;
  told = [short, long];
  write();
}

function showWaiting() {
  fresh.hidden = waiting.size === 0 && !missed;
  document.getElementById("fresh-none").hidden = !fresh.hidden;
  const many = waiting.size === 1 ? "1 new alert: show it" : `${waiting.size} new alerts: show them`;
  fresh.textContent = missed ? "Much has changed: show it" : many;
}

function rowOf(id) {
  return document.getElementById(`alert-${id}`);
}

function receive(event) {
  if (event.lastEventId) last = event.lastEventId;
  let news;
  try {
    news = JSON.parse(event.data);
  } catch {
    return; // Not an alert: a greeting or a keep-alive.
  }
  const id = news.alert_id ?? news.id;
  if (!id) return;
  if (rowOf(id)) {
    window.htmx.ajax("GET", `/alerts/${id}/row`, { target: `#alert-${id}`, swap: "outerHTML" });
  } else if (["raised", "opened", undefined].includes(news.kind)) {
    waiting.add(String(id));
    showWaiting();
  }
}

function connect() {
  const separator = stream.dataset.stream.includes("?") ? "&" : "?";
  const address = last ? `${stream.dataset.stream}${separator}last_event_id=${encodeURIComponent(last)}` : stream.dataset.stream;
  const source = new EventSource(address);
  source.addEventListener("open", () => say("live", "Live", "Live updates are connected: new alerts appear by themselves."));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      say("down", "Not live, trying again", "Live updates are not connected; trying again.");
      setTimeout(connect, 5000 + Math.random() * 5000);
    } else {
      say("down", "Not live, trying again", "The connection to live updates was lost; trying again.");
    }
  });
  for (const name of ["message", "alert"]) source.addEventListener(name, receive);
  source.addEventListener("reload", () => {
    missed = true; // More happened than is told one by one: the whole list is fetched when it is let in.
    showWaiting();
  });
}

fresh.addEventListener("click", async () => {
  const focused = [...waiting];
  await window.htmx.ajax("GET", stream.dataset.rows, { target: "#queue-rows", swap: "outerHTML", headers: { "X-Part": "rows" } });
  last = document.getElementById("queue-rows").dataset.lastEventId || last;
  waiting.clear();
  missed = false;
  showWaiting();
  document.getElementById("fresh-none").textContent = "Nothing new since you looked.";
  write();
  for (const id of focused) {
    const row = rowOf(id);
    if (row) row.classList.add("alert--fresh");
  }
  const first = focused.map(rowOf).find(Boolean);
  if (first) first.querySelector("a").focus();
});

document.body.addEventListener("htmx:responseError", (event) => {
  const target = event.detail.target;
  if (event.detail.xhr.status === 401) window.location.assign("/sign-in");
  else if (target && target.classList.contains("alert")) window.location.reload();
});

window.addEventListener("load", connect);
