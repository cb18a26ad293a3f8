// Where the device was and is.
import { api, type Device, type Readings, type State } from "../../api";
import { PlaceMap, type Mark } from "../../components/map";
import { useRead } from "../../components/reading";
import { leaves } from "../../fields";
import { isPlace } from "../../format";
import { track } from "../../map";

/** The path of the place that a state tells, if it does: a tracker's field, or a normalised position. */
export function placePath(state: State | undefined): string | undefined {
  return leaves(state).find(({ value }) => isPlace(value))?.path;
}

export function Position({ device, readings, path }: { device: Device; readings: Readings | undefined; path: string }) {
  const { value } = useRead(() => api.gateways(), []);
  const places = track(readings?.series[`${path}.latitude`], readings?.series[`${path}.longitude`]);
  const heardBy = value?.gateways.filter(({ devices }) => devices.includes(device.name)) ?? [];
  const gateways = heardBy.flatMap(({ id, location }): Mark[] => (location ? [{ name: id, ...location }] : []));
  if (places.length === 0) return null;
  return (
    <section class="card" aria-labelledby="position">
      <h2 id="position">Position</h2>
      <PlaceMap track={places} gateways={gateways} label={`Where ${device.name} was: ${places.length} positions, and ${gateways.length} gateways`} />
    </section>
  );
}
