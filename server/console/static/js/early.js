// Runs before anything is drawn: says that scripts work, and keeps a hidden page hidden after a reload.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js-enabled");
  if ("noModule" in HTMLScriptElement.prototype) root.classList.add("govuk-frontend-supported");
  var hidden = false;
  try {
    hidden = localStorage.getItem("earlysign.hidden") === "1";
  } catch (error) {
    hidden = false; // Storage is blocked: the page still hides, but not across a reload.
  }
  if (hidden) root.classList.add("is-hidden");
})();
