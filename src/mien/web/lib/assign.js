/** Optimal assignment: the Hungarian method with potentials, O(n^3), after Kuhn 1955 and Munkres 1957. */

/**
 * Rows to columns at the least sum of costs, as many as are finite.
 * @param {number[][]} costs
 * @returns {[number, number][]} pairs of row and column; none of infinite cost
 */
export function assign(costs, rows = costs.length, columns = costs[0]?.length ?? 0) {
  const finite = costs.flat().filter(Number.isFinite);
  if (!finite.length) return [];
  // A pair that may not be costs more than all others together, so it is made only where nothing else is left.
  const barred = (Math.max(...finite.map(Math.abs)) + 1) * (Math.min(rows, columns) + 1);
  const size = Math.max(rows, columns);
  const cost = (row, column) => {
    const value = row < rows && column < columns ? costs[row][column] : barred;
    return Number.isFinite(value) ? value : barred;
  };
  return shortestPaths(size, cost)
    .map((row, column) => [row, column])
    .filter(([row, column]) => row < rows && column < columns && Number.isFinite(costs[row][column]))
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** The row that each column of a square matrix belongs to. */
function shortestPaths(size, cost) {
  const ofRow = new Float64Array(size + 1), ofColumn = new Float64Array(size + 1); // index 0 is no row or column
  const owner = new Int32Array(size + 1);
  for (let row = 1; row <= size; row++) {
    owner[0] = row;
    let column = 0;
    const least = new Float64Array(size + 1).fill(Infinity);
    const cameFrom = new Int32Array(size + 1);
    const done = new Uint8Array(size + 1);
    while (owner[column]) {
      done[column] = 1;
      let nearest = -1;
      for (let next = 1; next <= size; next++) {
        if (done[next]) continue;
        const reduced = cost(owner[column] - 1, next - 1) - ofRow[owner[column]] - ofColumn[next];
        if (reduced < least[next]) {
          least[next] = reduced;
          cameFrom[next] = column;
        }
        if (nearest < 0 || least[next] < least[nearest]) nearest = next;
      }
      const step = least[nearest];
      for (let index = 0; index <= size; index++) {
        if (done[index]) {
          ofRow[owner[index]] += step;
          ofColumn[index] -= step;
        } else {
          least[index] -= step;
        }
      }
      column = nearest;
    }
    while (column) {
      owner[column] = owner[cameFrom[column]];
      column = cameFrom[column];
    }
  }
  return Array.from(owner.subarray(1), (row) => row - 1);
}
