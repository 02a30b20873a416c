/* A tile as CSV: what it shows now, numbers unrounded. Nothing is asked of the server, so file and screen are one. */
(function () {
  'use strict';
  const clean = (text) => (text || '').replace(/\s+/g, ' ').trim();
  const isNumber = (text) => text !== '' && Number.isFinite(Number(text));

  // A text of an event that a spreadsheet would take for a formula gets an apostrophe.
  function field(value) {
    const text = value === null || value === undefined ? '' : String(value);
    const safe = /^[=+\-@\t\r]/.test(text) && !isNumber(text) ? "'" + text : text;
    return /[",\r\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  }

  const lines = (rows) => rows.map((row) => row.map(field).join(',')).join('\r\n');
  const shownIn = (cell) => (cell.dataset.value !== undefined ? cell.dataset.value : clean(cell.textContent));

  function ofTable(table) {
    const heads = [...table.querySelectorAll('thead th')].map((head) => clean(head.textContent));
    const rows = [...table.querySelectorAll('tbody tr')].map((row) => [...row.cells].map(shownIn));
    return { caption: clean(table.caption && table.caption.textContent), rows: [heads, ...rows] };
  }

  function ofGrid(id) {
    const api = window.dash_ag_grid.getApi(id);
    const columns = api.getAllDisplayedColumns();
    const rows = [columns.map((column) => column.getColDef().headerName)];
    api.forEachNodeAfterFilterAndSort((node) => rows.push(columns.map((column) => node.data[column.getColId()])));
    return { caption: '', rows };
  }

  function ofPairs(tile) {
    const rows = [];
    tile.querySelectorAll('dl > div').forEach((pair) => {
      const part = pair.closest('[data-node]');
      rows.push([part ? clean(part.querySelector('strong').textContent) : '', ...[...pair.children].map(shownIn)]);
    });
    tile.querySelectorAll('.processes li').forEach((item) => rows.push([item.dataset.process, 'state', clean(item.lastElementChild.textContent)]));
    tile.querySelectorAll('.slider-head').forEach((head) => rows.push(['', ...[...head.children].map(shownIn)]));
    return rows.length ? [{ caption: '', rows: [['Part', 'Name', 'Value'], ...rows] }] : [];
  }

  // The parts of a tile in the order they stand in; several have their captions and an empty line between them.
  function csvOf(tile) {
    const parts = [...tile.querySelectorAll('table')].map(ofTable);
    if (window.dash_ag_grid) tile.querySelectorAll('[data-grid]').forEach((place) => parts.push(ofGrid(place.dataset.grid)));
    const all = parts.length ? parts : ofPairs(tile);
    const titled = all.length > 1;
    return all.map((part) => lines(titled ? [[part.caption], ...part.rows] : part.rows) + '\r\n').join('\r\n');
  }

  function save(tile) {
    const time = new Date(window.lake.now()).toISOString().slice(0, 19).replace(/[-:]/g, '') + 'Z';
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([csvOf(tile)], { type: 'text/csv;charset=utf-8' }));
    link.download = `${tile.id}-${time}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-csv]');
    if (button) save(document.getElementById(button.dataset.csv));
  });
})();
