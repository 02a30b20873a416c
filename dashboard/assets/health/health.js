/* The Health page: which column the topics are sorted by. */
(function () {
  'use strict';

  // A heading was chosen: it sorts downwards first when it is a number, the same one again turns the order round.
  function healthSort(...given) {
    const before = given[given.length - 1] || {};
    const chosen = window.dash_clientside.callback_context.triggered_id;
    const order = chosen ? next(before, chosen.column, chosen.first) : before;
    document.querySelectorAll('#health-topics-table th').forEach((head) => {
      if (head.dataset.column === order.column) head.setAttribute('aria-sort', order.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    return order;
  }

  function next(before, column, first) {
    return { column, down: before.column === column ? !before.down : first === 'down' };
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { healthSort });
})();
