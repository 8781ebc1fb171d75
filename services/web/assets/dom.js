// Creates all elements of the page. Text is always set as text, never as markup.

/**
 * @param {string} tag
 * @param {{on?: Record<string, (event: any) => void>, [attribute: string]: any}} [attributes] undefined, null and false
 *   are omitted, true sets an empty attribute; `on` holds listeners
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(tag, { on = {}, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  for (const [type, listener] of Object.entries(on)) node.addEventListener(type, listener);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets attributes as `el` does, and removes those that are undefined, null or false. @param {Element} node @param {Record<string, any>} attributes */
export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
}

/**
 * Makes these the children of parent, in this order. Existing children are not removed and inserted again, because a
 * button that is removed between mouse-down and mouse-up loses the click.
 * @param {Element} parent @param {Element[]} children
 */
export function setChildren(parent, children) {
  let at = parent.firstElementChild;
  const kept = new Set(children);
  for (const child of children) {
    while (at && !kept.has(at)) {
      const gone = at;
      at = at.nextElementSibling;
      gone.remove();
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  while (at) {
    const gone = at;
    at = at.nextElementSibling;
    gone.remove();
  }
}

/** @param {string} selector @param {ParentNode} [root] @returns {any} */
export function find(selector, root = document) {
  return root.querySelector(selector);
}

/** Makes a textarea as high as its text, up to the maximum in the style sheet. @param {HTMLTextAreaElement} area */
export function fit(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

/** Wraps a user's text for use in a sentence, so that its writing direction does not affect the text around it. @param {string | undefined} text */
export function bdi(text) {
  return el('bdi', {}, text);
}

// Invisible characters that change the direction of text.
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Like `bdi`, for an attribute, which can't hold elements. @param {string} text */
export function isolated(text) {
  return `\u2068${text.replace(BIDI_CONTROLS, '')}\u2069`;
}

/**
 * Reports whether a key belongs to an input method, such as the Enter that confirms a word in Japanese. Safari ends the
 * composition before that key, but the key code still shows it.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Returns one of eight colour classes, always the same for the same user. @param {string} id */
export function hue(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 1009;
  return `hue-${sum % 8}`;
}

/** @param {string} name */
export function initial(name) {
  return (Array.from(name.replace(BIDI_CONTROLS, '').trim())[0] ?? '?').toUpperCase();
}
