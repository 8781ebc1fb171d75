// The dialog that creates a room.
import { explain } from './api.js';
import { find } from './dom.js';

/**
 * @param {import('./session.js').Session} session
 * @param {(room: import('./parley.js').RoomInfo) => void} created
 * @param {AbortSignal} signal removes all listeners
 */
export function wireCreateRoom(session, created, signal) {
  const dialog = find('#create-room');
  const form = find('#create-room-form');
  const { name, slug, description, staff_only, allow_guests } = form.elements;
  const error = find('.error', form);
  let slugEdited = false; // until then the slug is derived from the name

  find('#new-room').hidden = session.user?.kind === 'guest';
  find('[data-staff-only]', form).hidden = !session.user?.staff;

  const on = (/** @type {any} */ target, /** @type {string} */ type, /** @type {(event: any) => void} */ run) => target.addEventListener(type, run, { signal });
  on(find('#new-room'), 'click', () => {
    form.reset();
    slugEdited = false;
    error.textContent = '';
    dialog.showModal();
  });
  on(find('.cancel', form), 'click', () => dialog.close());
  on(name, 'input', () => {
    if (!slugEdited) slug.value = slugOf(name.value);
  });
  on(slug, 'input', () => {
    slugEdited = slug.value !== '';
  });
  on(form, 'submit', async (event) => {
    event.preventDefault();
    const button = find('.primary', form);
    button.disabled = true;
    error.textContent = '';
    try {
      const room = await session.call('POST', '/api/rooms', {
        slug: slug.value,
        name: name.value.trim(),
        description: description.value.trim(),
        staff_only: staff_only.checked,
        allow_guests: allow_guests.checked,
      });
      dialog.close();
      created(room);
    } catch (failure) {
      error.textContent = explain(failure, {
        conflict: 'This address is taken, or belonged to a room that was deleted. Choose another one.',
        forbidden: 'You are not allowed to create rooms.',
      });
    } finally {
      button.disabled = false;
    }
  });
}

/** Derives a slug from a name: removes accents, and replaces everything that is not a letter or digit by a dash. @param {string} name */
export function slugOf(name) {
  return name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
}
