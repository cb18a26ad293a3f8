// Where things are, drawn without anybody's tiles: a grid in metres, north up, a scale.
import { useState } from "preact/hooks";
import type { Place } from "../api";
import { around, boxOf, direction, distance, metres, niceBelow, type Box, type Point } from "../map";

const WIDTH = 480;
const HEIGHT = 320;

export interface Mark extends Place {
  name: string;
}

interface Asked {
  /** The oldest first. */
  track: Place[];
  gateways: Mark[];
  label: string;
}

export function PlaceMap({ track, gateways, label }: Asked) {
  const [isWide, setWide] = useState(track.length === 0);
  const first = track.at(-1) ?? gateways[0];
  if (!first) return null;
  const project = around(first);
  const points = track.map(project);
  const marks = gateways.map((mark) => ({ name: mark.name, at: project(mark) }));
  const near = boxOf(points.length > 0 ? points : marks.map(({ at }) => at), WIDTH / HEIGHT);
  const box = isWide ? boxOf([...points, ...marks.map(({ at }) => at)], WIDTH / HEIGHT) : near;
  const here = points.at(-1);
  const outside = marks.filter(({ at }) => !isInside(at, box));
  return (
    <figure class="map">
      <Drawing box={box} points={points} marks={marks} label={label} />
      <figcaption class="row spread small muted">
        <span>
          {`${first.latitude.toFixed(5)}, ${first.longitude.toFixed(5)}`}
          {here && outside.map(({ name, at }) => <span key={name}> · {name} {metres(distance(here, at))} {direction(here, at)}</span>)}
        </span>
        {track.length > 0 && marks.length > 0 && (
          <button type="button" class="button is-small" aria-pressed={isWide} onClick={() => setWide(!isWide)}>
            With gateways
          </button>
        )}
      </figcaption>
    </figure>
  );
}

function isInside({ x, y }: Point, { middle, width }: Box): boolean {
  return Math.abs(x - middle.x) <= width / 2 && Math.abs(y - middle.y) <= (width / 2) * (HEIGHT / WIDTH);
}

function Drawing({ box, points, marks, label }: { box: Box; points: Point[]; marks: { name: string; at: Point }[]; label: string }) {
  const scale = WIDTH / box.width;
  const on = ({ x, y }: Point): Point => ({ x: WIDTH / 2 + (x - box.middle.x) * scale, y: HEIGHT / 2 - (y - box.middle.y) * scale });
  const step = niceBelow(box.width / 4);
  const last = points.at(-1);
  const line = points.map((point) => on(point)).map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <Grid box={box} step={step} on={on} />
      {points.length > 1 && <path class="way" d={`M${line}`} />}
      {points.length <= 300 && points.map((point, i) => <circle key={i} class="step" cx={on(point).x} cy={on(point).y} r="2.2" />)}
      {marks.map(({ name, at }) => <GatewayMark key={name} name={name} at={on(at)} />)}
      {last && (
        <>
          <circle class="halo" cx={on(last).x} cy={on(last).y} r="13" />
          <circle class="here" cx={on(last).x} cy={on(last).y} r="6" />
        </>
      )}
      <g class="scale">
        <path d={`M14 ${HEIGHT - 20}v6h${step * scale}v-6`} />
        <text x={20 + step * scale} y={HEIGHT - 13}>{metres(step)}</text>
        <path class="north" d={`M${WIDTH - 22} 34l6 -18l6 18l-6 -4z`} />
        <text x={WIDTH - 16} y="48" text-anchor="middle">N</text>
      </g>
    </svg>
  );
}

/** The newest position is in the middle of the grid's zero, so that its lines are metres from it. */
function Grid({ box: { middle, width }, step, on }: { box: Box; step: number; on: (point: Point) => Point }) {
  const height = width * (HEIGHT / WIDTH);
  const lines = (from: number, to: number) => {
    const first = Math.ceil(from / step);
    return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step);
  };
  const across = lines(middle.x - width / 2, middle.x + width / 2).map((x) => `M${on({ x, y: 0 }).x.toFixed(1)} 0V${HEIGHT}`);
  const along = lines(middle.y - height / 2, middle.y + height / 2).map((y) => `M0 ${on({ x: 0, y }).y.toFixed(1)}H${WIDTH}`);
  return <path class="grid" d={[...across, ...along].join("")} />;
}

function GatewayMark({ name, at: { x, y } }: { name: string; at: Point }) {
  const isRight = x > WIDTH * 0.7;
  return (
    <g class="gateway">
      <path d={`M${x} ${y - 8}l7 13h-14z`} />
      <text x={isRight ? x - 11 : x + 11} y={y + 5} text-anchor={isRight ? "end" : "start"}>{name}</text>
    </g>
  );
}
