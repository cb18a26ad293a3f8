// The library that draws plots: a file of its own, which is loaded with the first of them.
export { default } from "uplot";
