// The forms to sign in, to create an account, or to continue as a guest.
import { explain } from './api.js';
import { find } from './dom.js';

const SIGN_UP_CLOSED = 'Sign-up is closed on this server. Ask its administrator for an account.';
const NO_GUESTS = 'This server does not allow guests. Sign in with an account.';
const FORMS = /** @type {const} */ ({ signin: 'login', signup: 'signup', guest: 'guest' });
const ERROR_TEXTS = {
  signin: { unauthenticated: 'The username or the password is wrong.' },
  signup: { conflict: 'This username is taken, or looks like a taken one. Choose another one.', forbidden: SIGN_UP_CLOSED, not_found: SIGN_UP_CLOSED },
  guest: { forbidden: NO_GUESTS, not_found: NO_GUESTS },
};

/** Adds the forms' listeners. Call it once. @param {import('./session.js').Session} session @param {(user: any) => void} entered */
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
      showError('');
      try {
        const user = await session.signIn(how, Object.fromEntries(/** @type {any} */ (new FormData(form))));
        form.reset();
        entered(user);
      } catch (error) {
        showError(explain(error, /** @type {any} */ (ERROR_TEXTS)[name]));
      } finally {
        button.disabled = false;
      }
    });
  }
}

/** @param {string} [why] a message to show */
export function showEntry(why = '') {
  showForm('signin');
  showError(why);
}

/** @param {string} name */
function showForm(name) {
  for (const button of document.querySelectorAll('[data-show]')) {
    button.setAttribute('aria-pressed', String(button.getAttribute('data-show') === name));
  }
  for (const other of Object.keys(FORMS)) find(`#${other}-form`).hidden = other !== name;
  showError('');
  if (matchMedia('(hover: hover)').matches) find(`#${name}-form input`).focus();
}

/** @param {string} text */
function showError(text) {
  find('#entry-error').textContent = text;
}
