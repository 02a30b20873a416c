/* The table of past windows, too long to be sent as components. */
(function () {
  'use strict';
  function cell(row, field, text, value) {
    const td = row.querySelector('[data-field="' + field + '"]') || row.appendChild(document.createElement('td'));
    td.dataset.field = field;
    td.className = value === undefined ? 'text' : 'number';
    if (value !== undefined) td.dataset.value = String(value);
    if (td.textContent !== text) td.textContent = text;
  }

  function windowRows(rows) {
    const body = document.getElementById('houses-windows-rows');
    if (!body || !rows) return window.dash_clientside.no_update;
    const known = new Map([...body.rows].map((row) => [row.dataset.window + '|' + row.dataset.decade, row]));
    rows.forEach(([start, decade, average, sales, state, layer], place) => {
      const key = start + '|' + decade;
      const row = known.get(key) || document.createElement('tr');
      known.delete(key);
      row.dataset.window = start;
      row.dataset.decade = decade;
      cell(row, 'window_start', start.slice(11, 19));
      cell(row, 'decade', decade + 's');
      cell(row, 'avg_price', '$' + Math.round(average).toLocaleString('en-US'), average);
      cell(row, 'sales', sales.toLocaleString('en-US'), sales);
      cell(row, 'state', state);
      cell(row, 'layer', layer);
      if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
    });
    known.forEach((row) => row.remove());
    return rows.length + ' windows';
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.houses = Object.assign(window.dash_clientside.houses || {}, { windowRows });
})();
