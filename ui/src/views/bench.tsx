// The codec bench.
export function Bench(_: { codec: string | undefined }) {
  return <h1>Codecs</h1>;
}
