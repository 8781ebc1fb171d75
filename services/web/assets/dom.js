// The one way in which the page makes elements. Text is only ever set as text.

/**
 * @param {string} tag
 * @param {{on?: Record<string, (event: any) => void>, [attribute: string]: any}} [attributes] undefined, null and false
 *   are left out, true is an empty attribute; `on` holds listeners
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(tag, { on = {}, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  mark(node, attributes);
  for (const [type, listener] of Object.entries(on)) node.addEventListener(type, listener);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets attributes as `el` does; what is undefined, null or false is taken away. @param {Element} node @param {Record<string, any>} attributes */
export function mark(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
}

/**
 * Makes parent hold these children in this order. What is there already stays in place: a button that is
 * taken out between a mouse's down and up would lose the click.
 * @param {Element} parent @param {Element[]} children
 */
export function arrange(parent, children) {
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

/** Makes a textarea as high as its text, up to what the style sheet allows. @param {HTMLTextAreaElement} area */
export function fit(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

/** Text of a user inside a sentence: its direction is its own, and nothing in it reaches what stands around. @param {string | undefined} text */
export function bdi(text) {
  return el('bdi', {}, text);
}

// What changes the direction of text and shows nothing.
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The same for an attribute, which can't hold elements. @param {string} text */
export function isolated(text) {
  return `\u2068${text.replace(BIDI_CONTROLS, '')}\u2069`;
}

/**
 * Whether a key belongs to an input method, as the Enter that confirms a word in Japanese does. Safari says that the
 * composition has ended before that key; its code still tells.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** One of eight colours, always the same for the same person. @param {string} id */
export function hue(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 1009;
  return `hue-${sum % 8}`;
}

/** @param {string} name */
export function initial(name) {
  return (Array.from(name.replace(BIDI_CONTROLS, '').trim())[0] ?? '?').toUpperCase();
}
