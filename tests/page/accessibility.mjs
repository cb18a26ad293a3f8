// What an assistive technology needs of a page, checked in the page itself.

/**
 * Everything that is wrong with the document, in words. It is sent to the browser as it is: all it uses is inside.
 *
 * WCAG 2.2: names of controls (4.1.2) and images (1.1.1), headings (1.3.1), landmarks (2.4.1), the language (3.1.1), the
 * title (2.4.2), the contrast of text (1.4.3).
 */
export function findings() {
  const found = [];
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  const short = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 110);
  const text = (id) => document.getElementById(id)?.textContent.trim();

  const nameOf = (element) => {
    const labelled = element.getAttribute("aria-labelledby")?.split(/\s+/).map(text).join(" ");
    const labels = [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ");
    const images = [...element.querySelectorAll("img[alt], svg[aria-label]")].map(
      (image) => image.getAttribute("alt") ?? image.ariaLabel,
    );
    const content = element.matches("button, a, summary") ? element.textContent.trim() + images.join("") : "";
    return labelled || element.getAttribute("aria-label") || labels || content || element.getAttribute("title");
  };
  for (const element of shown(
    "a[href], button, input, select, textarea, summary, [role=img], [role=group], section, nav",
  )) {
    if (!nameOf(element)) found.push(`no name: ${short(element)}`);
  }
  for (const image of shown("img, svg, canvas")) {
    const isSilent = image.closest("[aria-hidden=true], [role=img]") || image.getAttribute("alt") === "";
    if (!isSilent && !nameOf(image) && !image.getAttribute("alt")) found.push(`no text instead of: ${short(image)}`);
  }

  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((heading) =>
    heading.checkVisibility(),
  );
  const levels = headings.map((heading) => Number(heading.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push(`headings of level 1: ${levels.join(" ")}`);
  levels.forEach((level, place) => {
    if (level > (levels[place - 1] ?? 0) + 1) found.push(`a heading leaves a level out: ${short(headings[place])}`);
  });
  if (document.querySelectorAll("main").length !== 1) found.push("there is not one main landmark");
  if (!document.documentElement.lang) found.push("the language is not said");
  if (!document.title) found.push("there is no title");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) found.push(`id twice: ${id}`);

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const over = (front, back) => front.rgb.map((part, place) => part * front.alpha + back[place] * (1 - front.alpha));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own.alpha > 0.99 ? own.rgb : over(own, behind(element.parentElement));
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((part) =>
      part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (lighter + 0.05) / (darker + 0.05);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const told = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (
      !texts.currentNode.textContent.trim() ||
      !element.checkVisibility() ||
      element.closest(".unseen, .skip, :disabled")
    )
      continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const back = behind(element);
    const ratio = contrast(over(rgba(color), back), back);
    const isLarge = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    const kind = `${element.className} ${color} ${back}`;
    if (ratio >= (isLarge ? 3 : 4.5) || told.has(kind)) continue;
    told.add(kind);
    found.push(`contrast ${ratio.toFixed(2)}: ${short(element)}`);
  }
  return found;
}
