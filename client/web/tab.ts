/**
 * Who is signed in, in this tab only: two tabs can be two people. Everything here is a convenience;
 * a browser that refuses storage only forgets.
 */
const USER = 'hongbao.user';
const GROUP = 'hongbao.group';

function read(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Private modes of some browsers: signed in until the tab is closed or reloaded.
  }
}

export const savedUser = (): string | null => read(USER);
export const savedGroup = (): string | null => read(GROUP);

export function saveUser(userId: string | null): void {
  write(USER, userId);
  if (userId === null) write(GROUP, null);
}

export function saveGroup(groupId: string | null): void {
  write(GROUP, groupId);
}

/** The invitation in the page's address, taken out of it so that it is used once. */
export function takeInvite(): string | null {
  const match = /^#join=(.+)$/.exec(location.hash);
  if (match === null) return null;
  history.replaceState(null, '', location.pathname);
  try {
    return decodeURIComponent(match[1] ?? '');
  } catch {
    return null;
  }
}
