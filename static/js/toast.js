// Toasts: dismissal, and one when htmx could not reach the server or got an error.

const corner = document.querySelector("#toasts");

function ready(root) {
  for (const toast of root.querySelectorAll("[data-toast]")) {
    toast.querySelector("[data-toast-close]").hidden = false;
    // Good news goes away by itself; whatever asks for attention stays until it is put away.
    if (toast.matches(".toast-success, .toast-info") && !toast.dataset.timed) {
      toast.dataset.timed = "";
      setTimeout(() => {
        if (!toast.matches(":hover, :focus-within")) toast.remove();
      }, 8000);
    }
  }
}

export function show(text) {
  const toast = document.createElement("div");
  toast.className = "toast toast-error";
  toast.dataset.toast = "";
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.dataset.toastClose = "";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  toast.append(words, close);
  corner.replaceChildren(toast);
}

if (corner) {
  corner.addEventListener("click", (event) => {
    event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove();
  });
  ready(corner);
  document.addEventListener("htmx:load", () => ready(corner));
  document.addEventListener("htmx:sendError", () => show("The server could not be reached. Nothing was changed."));
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    show(
      status === 403
        ? "You may not do that, or your session has ended. Reload the page and try again."
        : `That did not work (${status}). Reload the page and try again.`,
    );
  });
}
