// Shows a notification: a grade, a borough and a link. It names nobody, and keeps nothing.

self.addEventListener("push", (event) => {
  const said = event.data ? event.data.json() : {};
  event.waitUntil(
    self.registration.showNotification(said.title || "Earlysign", {
      body: said.body || "",
      tag: said.tag,
      data: said.link,
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const link = new URL(event.notification.data || "/", self.location.origin);
  // A link of another site is never followed.
  event.waitUntil(self.clients.openWindow(link.origin === self.location.origin ? link.href : "/"));
});
