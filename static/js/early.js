// A click on a button that comes before the page's modules have loaded is not lost: it is made again when they have.
// No module, so that it runs at once.

(() => {
  let early = null;
  const note = (event) => { early = event.target.closest("button:not([type=submit])"); };
  document.addEventListener("click", note, true);
  window.wakelessStarted = () => {
    document.removeEventListener("click", note, true);
    if (early?.isConnected) early.click();
  };
})();
