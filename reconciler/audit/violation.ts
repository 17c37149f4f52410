/** A rule of SPEC that a journal, or what is made of it, breaks; the message begins with its number. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
