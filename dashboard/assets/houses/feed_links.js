/* The feed's ids lead to their houses, by click and by Enter; the cells are AG Grid's, which shows them as plain text. */
(function () {
  'use strict';
  function follow(event) {
    const cell = event.target.closest && event.target.closest("#houses-feed-grid .ag-row .ag-cell[col-id='id']");
    if (!cell || (event.type === 'keydown' && event.key !== 'Enter')) return;
    window.dash_clientside.set_props('_pages_location', { href: '/houses/house/' + encodeURIComponent(cell.textContent) });
  }
  document.addEventListener('click', follow);
  document.addEventListener('keydown', follow);
})();
