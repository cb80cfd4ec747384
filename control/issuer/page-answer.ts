import type { Context } from './middleware.ts';
import { pageHeaders } from './pages.ts';

/** Answers with a page. @param formTargets - where its form may lead beyond us */
export const answer = (context: Context, status: number, html: string, formTargets: readonly string[] = []): void => {
  context.status = status;
  context.set(pageHeaders(formTargets));
  context.body = html;
};

/** Sends the browser on; nothing of it is kept. */
export const redirect = (context: Context, location: string): void => {
  context.status = 303;
  context.set('cache-control', 'no-store');
  context.set('location', location);
  context.body = '';
};
