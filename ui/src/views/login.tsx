// Who comes in without a session.
export function Login() {
  return <h1>Log in</h1>;
}
