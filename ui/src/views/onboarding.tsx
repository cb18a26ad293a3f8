// The first run, without a configuration.
export function Onboarding() {
  return <h1>Welcome</h1>;
}
