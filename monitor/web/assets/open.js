// The open page asks again while it has nothing to show, so that a newcomer sees the first flags come.
const notice = document.querySelector("[data-refresh]");
if (notice) {
  notice.hidden = false;
  setTimeout(() => location.reload(), Number(notice.dataset.refresh) * 1000);
}
