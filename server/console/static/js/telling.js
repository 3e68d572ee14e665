// "Show notifications here": asks the browser, and tells the server where it is reached.

const button = document.getElementById("push-on");
const said = document.getElementById("push-said");

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") {
    said.textContent = "The browser does not allow notifications of this site. Its settings can change that.";
    return;
  }
  const worker = await navigator.serviceWorker.register("/static/js/push-worker.js");
  const subscription = await worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytes(button.dataset.key),
  });
  const { endpoint, keys } = subscription.toJSON();
  const answer = await fetch("/api/telling/browsers", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-csrftoken": document.querySelector('input[name="_csrf_token"]').value,
    },
    body: JSON.stringify({ endpoint, p256dh: keys.p256dh, auth: keys.auth }),
  });
  said.textContent = answer.ok
    ? "Notifications are shown in this browser."
    : "The server did not take it. Try again in a moment.";
}

if (!("serviceWorker" in navigator) || !("PushManager" in window)) {
  button.disabled = true;
  said.textContent = "This browser cannot show notifications.";
} else {
  button.addEventListener("click", () => {
    turnOn().catch(() => {
      said.textContent = "The browser could not turn notifications on.";
    });
  });
}
