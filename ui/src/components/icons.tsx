// The few icons that there are: strokes on a grid of 24, in the colour of the text.
const PATHS = {
  overview: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  gateways: "M12 12v8M8 20h8M8.5 8.5a5 5 0 0 0 0 7M15.5 8.5a5 5 0 0 1 0 7M5.6 5.6a9 9 0 0 0 0 12.8M18.4 5.6a9 9 0 0 1 0 12.8M12 12h.01",
  events: "M5 6h2M5 12h2M5 18h2M10 6h9M10 12h9M10 18h9",
  bench: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5 20 20",
  copy: "M9 9h10v10H9zM5 15V5h10",
  done: "M5 12.5 10 17l9-10",
  back: "M14 6l-6 6 6 6",
  leave: "M14 5h5v14h-5M4 12h11M11 8l4 4-4 4",
} as const;

export type IconName = keyof typeof PATHS;

/** Says nothing to a screen reader: what it stands for is in the text or label beside it. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
