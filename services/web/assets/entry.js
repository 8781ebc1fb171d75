// Sign in, make an account, or come in as a guest.
import { explain } from './api.js';
import { find } from './dom.js';

const FORMS = /** @type {const} */ ({ signin: 'login', signup: 'signup', guest: 'guest' });
const WORDS = {
  signin: { unauthenticated: 'The username or the password is wrong.' },
  signup: { conflict: 'That username is taken, or looks like one that is.', forbidden: 'New accounts can’t be made here. Ask whoever runs this server.', not_found: 'New accounts can’t be made here. Ask whoever runs this server.' },
  guest: { forbidden: 'This server takes no guests.', not_found: 'This server takes no guests.' },
};

/** Wires the forms, once. @param {import('./session.js').Session} session @param {(user: any) => void} entered */
export function wireEntry(session, entered) {
  for (const button of document.querySelectorAll('[data-show]')) {
    button.addEventListener('click', () => showForm(button.getAttribute('data-show') ?? 'signin'));
  }
  for (const [name, how] of Object.entries(FORMS)) {
    const form = find(`#${name}-form`);
    form.addEventListener('submit', async (/** @type {Event} */ event) => {
      event.preventDefault();
      const button = find('button', form);
      button.disabled = true;
      say('');
      try {
        const user = await session.enter(how, Object.fromEntries(/** @type {any} */ (new FormData(form))));
        form.reset();
        entered(user);
      } catch (error) {
        say(explain(error, /** @type {any} */ (WORDS)[name]));
      } finally {
        button.disabled = false;
      }
    });
  }
}

/** @param {string} [why] what to tell first */
export function showEntry(why = '') {
  showForm('signin');
  say(why);
}

/** @param {string} name */
function showForm(name) {
  for (const button of document.querySelectorAll('[data-show]')) {
    button.setAttribute('aria-pressed', String(button.getAttribute('data-show') === name));
  }
  for (const other of Object.keys(FORMS)) find(`#${other}-form`).hidden = other !== name;
  say('');
  if (matchMedia('(hover: hover)').matches) find(`#${name}-form input`).focus();
}

/** @param {string} text */
function say(text) {
  find('#entry-error').textContent = text;
}
