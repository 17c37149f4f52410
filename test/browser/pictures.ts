/** The pictures of the README, taken of a family that the browser test's own server hosts. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { CALM, DESKTOP, PHONE, Person } from './person.ts';

const PICTURES = join(import.meta.dirname, '../../docs/pictures');
/** Until animations and confetti have come to rest. */
const STILL_MS = 2_500;

/** Writes docs/pictures: chat.png, cover.png, open.png. About 20 s. */
export async function takePictures({
  browser,
  url,
}: {
  browser: Browser;
  url: string;
}): Promise<void> {
  await mkdir(PICTURES, { recursive: true });
  const create = (name: string, options: BrowserContextOptions): Promise<Person> =>
    Person.create({ browser, name, options });
  const phone = { ...PHONE, deviceScaleFactor: 1.5 };
  const [mei, grandma, jun, lukas] = await Promise.all([
    create('Mei', { ...DESKTOP, deviceScaleFactor: 1.5 }),
    create('奶奶', { ...phone, ...CALM }),
    create('小军', { ...phone, ...CALM }),
    create('Lukas', phone),
  ]);
  const family = [mei, grandma, jun, lukas];
  await mei.signIn(url);
  await lukas.signIn(await mei.createGroup('Badminton 🏸'));
  await lukas.say('Court 3 on Thursday at 7?');
  await jun.signIn(await mei.createGroup('Spring trip 🌸'));
  await jun.say('I found a house by the lake!');
  const link = await mei.createGroup('陈家 · Family');
  for (const person of [grandma, jun, lukas]) {
    await (person === grandma ? person.signIn(link) : person.page.goto(link));
    await person.page.getByRole('heading', { name: '陈家' }).waitFor();
  }
  await mei.page.getByText('4 members').waitFor();
  const everyoneHears = async (person: Person, text: string): Promise<void> => {
    await person.say(text);
    for (const reader of family) await reader.sees(text);
  };
  await everyoneHears(grandma, '饺子包好了，等你们回家 🥟');
  await everyoneHears(jun, 'On the 15:40 train, home before dark');
  await everyoneHears(mei, 'I bring tangerines 🍊');

  const greeting = '恭喜发财，大吉大利';
  await mei.sendPacket({ amount: '88.88', count: 4, greeting });
  await lukas.bubble(greeting).click();
  await lukas.at('packet-open').waitFor();
  await lukas.page.waitForTimeout(STILL_MS);
  await lukas.page.screenshot({ path: join(PICTURES, 'cover.png') });
  await lukas.at('packet-open').click();
  await lukas.won();
  for (const person of [jun, mei, grandma]) {
    await person.open(greeting);
    await person.closeSheet();
  }
  await lukas.at('packet-best').waitFor();
  await lukas.page.waitForTimeout(STILL_MS);
  await lukas.page.screenshot({ path: join(PICTURES, 'open.png') });
  await lukas.closeSheet();

  await everyoneHears(lukas, 'Thank you, Mei! 🎉');
  await grandma.sendPacket({ amount: '66.00', count: 4, greeting: '新年快乐，平平安安' });
  await mei.bubble('新年快乐，平平安安').waitFor();
  await mei.page.waitForTimeout(STILL_MS);
  await mei.page.screenshot({ path: join(PICTURES, 'chat.png') });
}
