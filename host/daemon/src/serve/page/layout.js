// Where the boxes of a graph stand: in layers along the flow, each one layer behind the last that it reads from, sinks
// in the last. An edge that passes layers gets a cell of its own in each, so that no line runs behind a box. Within a
// layer cells stand in the order of what they are connected to and as near to it as they can: a few sweeps over the
// layers, after Sugiyama.

const SWEEPS = 6;

// Gives each of `boxes` (`{ sink, width, height }`, each behind those that it reads from) its `x` and `y`, its left
// upper corner, and each of `edges` (`{ from, to }`) the `cells` that it passes between its ends. `down`: layers are
// rows from top to bottom, not columns. `gaps`: space along and across the flow, and what a passing edge takes.
export function layout(boxes, edges, down, gaps) {
  const cells = boxes.map((box) => ({ box, layer: 0, size: down ? box.width : box.height }));
  const cell = new Map(cells.map((one) => [one.box, one]));
  for (const one of cells) {
    const before = edges.filter((edge) => edge.to === one.box).map((edge) => cell.get(edge.from).layer);
    one.layer = Math.max(-1, ...before) + 1;
  }
  const last = Math.max(0, ...cells.map((one) => one.layer));
  cells.filter((one) => one.box.sink).forEach((one) => { one.layer = last; });
  const links = [];
  for (const edge of edges) {
    const [from, to] = [cell.get(edge.from), cell.get(edge.to)];
    edge.cells = Array.from({ length: to.layer - from.layer - 1 }, (_, at) => (
      { box: null, layer: from.layer + 1 + at, size: gaps.passing }));
    cells.push(...edge.cells);
    const way = [from, ...edge.cells, to];
    way.slice(1).forEach((one, at) => links.push([way[at], one]));
  }
  const layers = Array.from({ length: last + 1 }, (_, layer) => cells.filter((one) => one.layer === layer));
  order(layers, links, gaps.across);
  const least = Math.min(...cells.map((one) => one.middle - one.size / 2));
  let along = 0;
  for (const layer of layers) {
    const deep = Math.max(...layer.map((one) => (one.box ? (down ? one.box.height : one.box.width) : 0)));
    for (const one of layer) {
      one.middle -= least;
      [one.start, one.end] = [along, along + deep];
      if (one.box && down) [one.box.x, one.box.y] = [one.middle - one.box.width / 2, along];
      if (one.box && !down) [one.box.x, one.box.y] = [along, one.middle - one.box.height / 2];
    }
    along += deep + gaps.along;
  }
}

function order(layers, links, gap) {
  layers.forEach((layer) => {
    layer.forEach((one) => { one.wish = 0; });
    settle(layer, gap);
  });
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const [far, near] = sweep % 2 === 0 ? [0, 1] : [1, 0];
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      for (const one of layer) {
        const others = links.filter((link) => link[near] === one).map((link) => link[far].middle);
        one.wish = others.length > 0 ? others.reduce((sum, at) => sum + at, 0) / others.length : one.middle;
      }
      layer.sort((a, b) => a.wish - b.wish || a.middle - b.middle);
      settle(layer, gap);
    }
  }
}

// Puts the cells of a layer where they wish to be, in their order and without overlap, none of them much worse off.
function settle(layer, gap) {
  let low = -Infinity;
  let off = 0;
  for (const one of layer) {
    one.middle = Math.max(one.wish, low + gap + one.size / 2);
    off += one.middle - one.wish;
    low = one.middle + one.size / 2;
  }
  layer.forEach((one) => { one.middle -= off / layer.length; });
}
