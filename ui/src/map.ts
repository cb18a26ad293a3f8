// Places on a plane: good to a metre in a thousand for anything a LoRaWAN device reaches. Pure.
import type { Place } from "./api";

/** Metres east and north of the middle. */
export interface Point {
  x: number;
  y: number;
}

const METRES_A_DEGREE = 111_320;

/** A projection around a place. */
export function around({ latitude, longitude }: Place): (place: Place) => Point {
  const shrink = Math.cos((latitude * Math.PI) / 180);
  return (place) => ({
    x: (wrapped(place.longitude - longitude)) * METRES_A_DEGREE * shrink,
    y: (place.latitude - latitude) * METRES_A_DEGREE,
  });
}

/** The short way round, also over the date line. */
function wrapped(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** 1, 2 or 5 times a power of ten, the greatest that is not above. */
export function niceBelow(metres: number): number {
  const power = 10 ** Math.floor(Math.log10(metres));
  const digit = metres / power;
  return (digit >= 5 ? 5 : digit >= 2 ? 2 : 1) * power;
}

/** "250 m", "1.2 km" */
export function metres(of: number): string {
  if (of < 1000) return `${Math.round(of)} m`;
  return `${(of / 1000).toFixed(of < 10_000 && of % 1000 ? 1 : 0)} km`;
}

/** "N", "NE" …: from one point to another. */
export function direction(from: Point, to: Point): string {
  const turn = Math.atan2(to.x - from.x, to.y - from.y) / (Math.PI / 4);
  return ["N", "NE", "E", "SE", "S", "SW", "W", "NW"][(Math.round(turn) + 8) % 8] ?? "";
}

export interface Box {
  middle: Point;
  /** Metres from side to side. */
  width: number;
}

/** What holds all points in the form of `aspect` (width by height), with some room, and at least 100 m wide. */
export function boxOf(points: Point[], aspect: number): Box {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = Math.max(east - west, (north - south) * aspect, 100) * 1.25;
  return { middle: { x: (west + east) / 2, y: (south + north) / 2 }, width };
}

/** Columns of latitude and longitude as places, where both are there at one time. */
export function track(
  latitude: { at: number[]; value: unknown[] } | undefined,
  longitude: { at: number[]; value: unknown[] } | undefined,
): (Place & { at: number })[] {
  const there = new Map(longitude?.at.map((time, i) => [time, longitude.value[i]]));
  return (latitude?.at ?? []).flatMap((time, i) => {
    const [lat, lon] = [latitude?.value[i], there.get(time)];
    const isPlace = typeof lat === "number" && typeof lon === "number" && (lat !== 0 || lon !== 0);
    return isPlace ? [{ at: time, latitude: lat, longitude: lon }] : [];
  });
}
