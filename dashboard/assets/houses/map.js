/* The area of the map that narrows the page: a box, an outline, or what is visible; around it the map is veiled. */
(function () {
  'use strict';
  const MOST_CORNERS = 60, EARTH = [[-180, -85], [180, -85], [180, 85], [-180, 85], [-180, -85]];
  const noUpdate = () => window.dash_clientside.no_update;
  const graph = () => document.querySelector('#map-points .js-plotly-plot');
  const written = (pairs) => pairs.flat().map((number) => number.toFixed(4)).join(','); // 10 m
  let area = '';

  const box = ([[x, y], [u, v]]) => written([[Math.min(x, u), Math.min(y, v)], [Math.max(x, u), Math.max(y, v)]]);

  function outline(points) {
    const step = Math.ceil(points.length / MOST_CORNERS);
    return points.length < 3 ? '' : written(points.filter((_point, at) => at % step === 0));
  }

  function visible() {
    const bounds = graph()._fullLayout.map._subplot.map.getBounds();
    return box([bounds.getSouthWest().toArray(), bounds.getNorthEast().toArray()]);
  }

  // What was drawn, the visible part, or everything again. A figure that is drawn again has no selection: that changes nothing.
  function mapFilter(drawn) {
    const asked = window.dash_clientside.callback_context.triggered_id;
    if (asked === 'map-clear') return ['', 'all', null];
    if (asked === 'map-visible') return graph() ? [visible(), noUpdate(), noUpdate()] : noUpdate();
    const found = drawn && drawn.range ? box(drawn.range.map) : drawn && drawn.lassoPoints ? outline(drawn.lassoPoints.map) : '';
    return found ? [found, noUpdate(), noUpdate()] : noUpdate();
  }

  function corners() {
    const numbers = area.split(',').map(Number);
    if (numbers.length < 4) return [];
    const [west, south, east, north] = numbers;
    if (numbers.length === 4) return [[west, south], [east, south], [east, north], [west, north]];
    return numbers.reduce((pairs, number, at) => (at % 2 ? pairs : [...pairs, [number, numbers[at + 1]]]), []);
  }

  function mapLayers() {
    const around = corners();
    if (!around.length) return [];
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const ring = [...around, around[0]];
    const layer = (type, coordinates) => ({ sourcetype: 'geojson', source: { type: 'Feature', properties: {}, geometry: { type, coordinates } } });
    return [
      { ...layer('Polygon', [EARTH, ring]), type: 'fill', color: colour('--surface'), opacity: 0.7 },
      { ...layer('LineString', ring), type: 'line', color: colour('--speed'), line: { width: 2 } },
    ];
  }

  function mapArea(asked, show, zip) {
    const changed = area !== (asked || '');
    area = asked || '';
    if (changed && graph()) {
      graph().querySelectorAll('.select-outline').forEach((line) => line.remove()); // it would stay where it is
      window.Plotly.relayout(graph(), { 'map.layers': mapLayers() });
    }
    return !(area || zip || show !== 'all');
  }

  function mapDrag(mode) {
    if (graph()) window.Plotly.relayout(graph(), { dragmode: mode });
    return noUpdate();
  }

  window.lake = window.lake || {};
  window.lake.mapLayers = Object.assign(window.lake.mapLayers || {}, { 'map-points': mapLayers });
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.houses = Object.assign(window.dash_clientside.houses || {}, { mapFilter, mapArea, mapDrag });
})();
