/** The films on this server, to choose from and to delete, and the way to bring another. */
import { useRef } from "preact/hooks";
import type { Film } from "../../client";
import { store } from "../store";
import { filmStrings as words } from "../strings.film";
import { open, remove } from "./library";
import { RowButton } from "./rows";
import { shown } from "./state";
import { send } from "./upload";

// Containers that browsers do not all count as video.
const ACCEPT = "video/*,.mkv,.mov,.m4v,.avi,.webm,.ts";

export function ChooseButton({ id, quiet = false }: { id: string; quiet?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        class={quiet ? "chip" : "primary"}
        data-testid={id}
        disabled={shown.upload.value !== null && shown.upload.value.state !== "refused"}
        onClick={() => input.current?.click()}
      >
        {words.choose}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        data-testid={`${id}-input`}
        accept={ACCEPT}
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          currentTarget.value = "";
          if (file) void send(file);
        }}
      />
    </>
  );
}

function FilmRow({ film }: { film: Film }) {
  const ready = film.state === "ready";
  const said =
    film.state === "refused"
      ? film.problem || words.states.refused
      : ready
        ? words.facts(film.duration, film.height)
        : words.states[film.state];
  return (
    <li data-testid="film" data-state={film.state}>
      <button
        type="button"
        class="film"
        data-testid="film-open"
        aria-label={words.open(film.name)}
        aria-current={store.film.value?.id === film.id}
        disabled={!ready}
        onClick={() => open(film)}
      >
        <span class="film-name" title={film.name}>
          {film.name}
        </span>
        <span class="film-said" title={said}>
          {said}
        </span>
        <span class="film-size">{words.size(film.bytes)}</span>
      </button>
      <RowButton
        id="film-delete"
        icon="bin"
        label={words.delete(film.name)}
        run={() => {
          if (confirm(words.deleteSure(film.name))) void remove(film);
        }}
      />
    </li>
  );
}

/** Those that can be taken: the one that is being sent, or was just refused, has a line of its own. */
export function onShelf(): Film[] {
  const upload = shown.upload.value;
  const comes = ({ id, state, name, bytes }: Film): boolean =>
    upload?.id === id ||
    (upload?.name === name &&
      upload.bytes === bytes &&
      state === (upload.state === "refused" ? "refused" : "uploading"));
  return shown.films.value.filter((film) => !comes(film));
}

export function Shelf() {
  const films = onShelf();
  return (
    <div class="shelf" id="shelf" data-testid="shelf">
      {films.length === 0 ? (
        !shown.upload.value && <p class="soft">{words.none}</p>
      ) : (
        <ul aria-label={words.filmsOn}>
          {films.map((film) => (
            <FilmRow key={film.id} film={film} />
          ))}
        </ul>
      )}
    </div>
  );
}
