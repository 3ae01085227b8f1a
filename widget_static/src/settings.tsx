// The settings: which operator has which account at the PBX. For administrators, below the telephone.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Account, type Accounts, healthOf, type Line, type Listing, type Person, summaryOf } from "./accounts";
import { Button } from "./parts";
import { settingsTexts as texts } from "./texts";

const LOOK_AGAIN = 3_000;

type Work = (job: () => Promise<void>) => Promise<void>;

export function Settings({ accounts, back }: { accounts: Accounts; back: () => void }) {
  const [listing, setListing] = useState<Listing | null>(null);
  const [error, setError] = useState("");
  const [proposed, setProposed] = useState<Person | null>(null);
  const title = useRef<HTMLHeadingElement>(null);
  const look = async () => setListing(await accounts.list());
  const work: Work = async (job) => {
    try {
      await job();
      await look();
      setError("");
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason));
    }
  };
  useEffect(() => {
    title.current?.focus();
    void work(async () => {});
    const timer = setInterval(() => document.visibilityState === "visible" && void work(async () => {}), LOOK_AGAIN);
    return () => clearInterval(timer);
  }, []);
  return (
    <section class="sheet settings" aria-labelledby="settings-title">
      <h1 id="settings-title" ref={title} tabIndex={-1}>
        {texts.title}
      </h1>
      <Administration label={texts.installation} />
      <p class="hint">{texts.intro}</p>
      {error && (
        <p class="notice" role="alert">
          {error}
        </p>
      )}
      {listing ? (
        <>
          <Table listing={listing} remove={(account) => work(() => accounts.remove(account))} />
          <Without listing={listing} propose={setProposed} />
          <Add key={proposed?.id} accounts={accounts} listing={listing} proposed={proposed} work={work} />
          <Import accounts={accounts} work={work} />
        </>
      ) : (
        <p class="hint">{texts.loading}</p>
      )}
      <div class="buttons">
        <form method="post" action="/b24/voice" target="_blank" rel="noopener">
          <input type="hidden" name="ticket" value={accounts.pass} />
          <button type="submit" class="plain" data-do="voice">
            {texts.voice}
          </button>
        </form>
        <Button kind="plain" label={texts.back} does="back" press={back} />
      </div>
    </section>
  );
}

/** Leads to the administrators' page, which turns everybody else away. */
export function Administration({ label }: { label: string }) {
  return (
    <form class="administration" method="post" action="/b24/admin">
      <input type="hidden" name="ticket" value={document.body.dataset.administration ?? ""} />
      <button type="submit" class="link">
        {label}
      </button>
    </form>
  );
}

function Table({ listing, remove }: { listing: Listing; remove: (account: Account) => void }) {
  if (listing.accounts.length === 0) return <p class="hint">{texts.none}</p>;
  return (
    <table>
      <caption class="hidden">{texts.title}</caption>
      <thead>
        <tr>
          <th scope="col">{texts.operator}</th>
          <th scope="col">{texts.account}</th>
          <th scope="col">{texts.state}</th>
          <th scope="col">
            <span class="hidden">{texts.remove}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {listing.accounts.map((account) => (
          <Row key={`${account.trunk} ${account.sipUser}`} account={account} listing={listing} remove={remove} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  account: Account;
  listing: Listing;
  remove: (account: Account) => void;
}

function Row({ account, listing, remove }: RowProps) {
  const { health, text } = healthOf(account);
  const place = listing.trunks.length > 1 ? `${account.sipUser} · ${account.trunk}` : account.sipUser;
  return (
    <tr data-account={account.sipUser}>
      <th scope="row">
        {account.name || texts.unknown}
        {account.extension && <span class="hint"> {texts.extensionOf(account.extension)}</span>}
      </th>
      <td>{place}</td>
      <td>
        <span class={`light ${health}`} aria-hidden="true">
          {health === "good" ? "✓" : health === "bad" ? "✗" : "…"}
        </span>{" "}
        {text}
        <span class="hint"> {account.online ? texts.online : texts.offline}</span>
      </td>
      <td>{account.fixed ? <span class="hint">{texts.fixed}</span> : <Remove account={account} remove={remove} />}</td>
    </tr>
  );
}

/** Asked twice: a frame of another origin may not show a dialogue. */
function Remove({ account, remove }: { account: Account; remove: (account: Account) => void }) {
  const [asked, setAsked] = useState(false);
  const named = (label: string) => ({ label, name: texts.of(label, account.sipUser) });
  if (!asked) return <Button kind="plain" {...named(texts.remove)} does="remove" press={() => setAsked(true)} />;
  return (
    <>
      <Button kind="stop" {...named(texts.reallyRemove)} does="reallyRemove" press={() => remove(account)} />
      <Button kind="plain" {...named(texts.keep)} does="keep" press={() => setAsked(false)} />
    </>
  );
}

function Without({ listing, propose }: { listing: Listing; propose: (person: Person) => void }) {
  if (!listing.peopleKnown) return <p class="hint">{texts.peopleUnknown}</p>;
  if (listing.without.length === 0) return null;
  return (
    <>
      <h2>{texts.without}</h2>
      <ul class="without">
        {listing.without.map((person) => (
          <li key={person.id}>
            <span>
              {person.name} <span class="hint">{texts.extensionOf(person.extension)}</span>
            </span>
            <Button
              kind="plain"
              label={texts.giveAccount}
              name={texts.of(texts.giveAccount, person.name)}
              does="propose"
              press={() => propose(person)}
            />
          </li>
        ))}
      </ul>
    </>
  );
}

interface AddProps {
  accounts: Accounts;
  listing: Listing;
  proposed: Person | null;
  work: Work;
}

function Add({ accounts, listing, proposed, work }: AddProps) {
  const [said, setSaid] = useState("");
  const password = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (proposed) password.current?.focus();
  }, [proposed]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const field = (name: string) => String(new FormData(form).get(name) ?? "");
    const account = {
      extension: field("extension"),
      sip_user: field("sip_user"),
      password: field("password"),
      trunk: field("trunk"),
    };
    void work(async () => {
      const line = await accounts.add(account);
      setSaid(`${texts.changes[line.change]}: ${line.text}`);
      if (line.change !== "refused") form.reset();
    });
  };
  return (
    <form onSubmit={submit} autocomplete="off">
      <h2>{texts.add}</h2>
      <Field name="extension" label={texts.extension} value={proposed?.extension ?? ""} required />
      <Field name="sip_user" label={texts.sipUser} hint={texts.sipUserHint} />
      <label>
        {texts.password}
        <input type="password" name="password" autocomplete="new-password" ref={password} />
      </label>
      {listing.trunks.length > 1 && (
        <label>
          {texts.trunk}
          <select name="trunk">
            {listing.trunks.map((trunk) => (
              <option key={trunk}>{trunk}</option>
            ))}
          </select>
        </label>
      )}
      <div class="buttons">
        <button type="submit" class="go" data-do="add">
          {texts.addAccount}
        </button>
      </div>
      <p class="hint" role="status">
        {said}
      </p>
    </form>
  );
}

interface FieldProps {
  name: string;
  label: string;
  value?: string;
  hint?: string;
  required?: boolean;
}

function Field({ name, label, value = "", hint, required = false }: FieldProps) {
  return (
    <label>
      {label}
      <input type="text" name={name} defaultValue={value} required={required} autocapitalize="off" spellcheck={false} />
      {hint && <span class="hint">{hint}</span>}
    </label>
  );
}

function Import({ accounts, work }: { accounts: Accounts; work: Work }) {
  const [text, setText] = useState("");
  const [report, setReport] = useState<{ lines: Line[]; dry: boolean } | null>(null);
  const take = (dry: boolean) =>
    work(async () => {
      const lines = await accounts.take(text, dry);
      setReport({ lines, dry });
      // Passwords need not stand there longer than a line waits for its correction.
      if (!dry && lines.every((line) => line.change !== "refused")) setText("");
    });
  const choose = async (event: Event) => {
    const [file] = (event.currentTarget as HTMLInputElement).files ?? [];
    if (!file) return;
    setText(await file.text());
    setReport(null);
  };
  return (
    <div class="import">
      <h2>{texts.importTitle}</h2>
      <p class="hint">{texts.importHint}</p>
      <label>
        {texts.file}
        <input type="file" accept=".csv,.txt,text/csv,text/plain" onChange={choose} />
      </label>
      <label>
        {texts.paste}
        <textarea
          rows={5}
          spellcheck={false}
          value={text}
          placeholder={texts.sample}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <Button kind="plain" label={texts.check} does="check" press={() => void take(true)} busy={!text.trim()} />
        <Button kind="go" label={texts.take} does="import" press={() => void take(false)} busy={!text.trim()} />
      </div>
      <div role="status">
        {report && (
          <>
            <p>
              <strong>{report.dry ? texts.wouldBe : texts.done}</strong> {summaryOf(report.lines)}
            </p>
            <ol class="lines">
              {report.lines.map((line) => (
                <li key={line.line} class={line.change}>
                  {texts.line(line.line)} – {texts.changes[line.change]}: {line.text}
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
    </div>
  );
}
