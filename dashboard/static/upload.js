// Sends the chosen file as the request's body, so that the browser can tell how much of it has gone.
(() => {
  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    for (; bytes >= 1000 && unit < 4; unit += 1) bytes /= 1000;
    return `${bytes.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  };
  const parts = (form) => ({
    file: form.elements.file, send: form.querySelector("[type=submit]"), stop: form.querySelector(".stop"),
    bar: form.querySelector("progress"), state: form.querySelector("[role=status]"),
  });
  const say = (form, text, fault = false) => {
    const { state } = parts(form);
    state.textContent = text;
    state.classList.toggle("fault", fault);
  };
  const sending = (form, request) => {
    const { send, stop, bar } = parts(form);
    send.disabled = Boolean(request);
    stop.hidden = bar.hidden = !request;
    stop.onclick = () => request?.abort();
    window.onbeforeunload = request ? (event) => event.preventDefault() : null;
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form.upload");
    if (form && event.target === form.elements.file) {
      const file = event.target.files[0];
      say(form, file ? size(file.size) : "");
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.upload");
    if (!form) return;
    event.preventDefault();
    const file = form.elements.file.files[0];
    if (!file) { say(form, "Choose a file first.", true); return; }
    const request = new XMLHttpRequest();
    const asked = new URLSearchParams({ filename: file.name, purpose: form.elements.purpose.value });
    request.open("POST", `/data/upload?${asked}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => {
      parts(form).bar.value = loaded / total;
      say(form, loaded < total ? `${Math.floor(100 * loaded / total)} % of ${size(total)}` : "It has arrived; the API takes it in …");
    };
    request.onloadend = () => {
      sending(form, null);
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* no answer of ours */ }
      if (request.status === 200 && answer.id) location.href = `/data/${encodeURIComponent(answer.id)}`;
      else if (request.status === 401) location.href = `/login?next=${encodeURIComponent(location.pathname)}`;
      else say(form, answer.error ?? "The upload was broken off.", true);
    };
    sending(form, request);
    say(form, `0 % of ${size(file.size)}`);
    request.send(file);
  });
})();
