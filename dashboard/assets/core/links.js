/* A link to a part of a page, as /<domain>#<tile>: scrolled to once it is there, and kept in place while tiles fill. */
(function () {
  'use strict';
  const LOOK_MILLIS = 6000;
  let search = 0; // a later one, and a hand on the page, end the one before

  function seek() {
    const mine = (search += 1), until = Date.now() + LOOK_MILLIS, id = decodeURIComponent(window.location.hash.slice(1));
    let placed = null;
    (function look() {
      if (!id || mine !== search || Date.now() > until) return;
      const part = document.getElementById(id);
      const at = part && Math.round(part.getBoundingClientRect().top);
      if (part && at !== placed) {
        part.scrollIntoView();
        placed = Math.round(part.getBoundingClientRect().top);
      }
      setTimeout(look, 100);
    })();
  }

  ['wheel', 'touchmove', 'keydown', 'mousedown'].forEach((hand) => document.addEventListener(hand, () => { search += 1; }, { passive: true }));
  document.addEventListener('click', (event) => { if (event.target.closest('a[href*="#"]')) setTimeout(seek); });
  window.addEventListener('popstate', seek);
  seek();
})();
