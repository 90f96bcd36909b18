// Texts of inputs belong to the browser; these set them where the spec was changed elsewhere.
window.setTexts = (texts) => {
  for (const [id, text] of Object.entries(texts)) {
    const input = document.getElementById(id);
    if (input && input.value !== text) input.value = text;
  }
};

// Unfolds what an element is folded away in, and goes to it.
window.reveal = (id) => {
  const found = document.getElementById(id);
  for (let above = found; above; above = above.parentElement?.closest("details")) if (above.tagName === "DETAILS") above.open = true;
  found?.scrollIntoView({ block: "center" });
  found?.focus({ preventScroll: true });
};
